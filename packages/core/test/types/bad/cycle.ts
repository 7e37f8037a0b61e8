// Definitions that need one another are TypeScript's own error.
import { resource } from "@steward/core";

// error: TS7022 'a' implicitly has type 'any'
// error: TS2448 used before its declaration
// error: TS2454 used before being assigned
const a = resource("a", { needs: { b }, start: () => 1 });
// error: TS7022 'b' implicitly has type 'any'
const b = resource("b", { needs: { a }, start: () => 2 });
export { a, b };
