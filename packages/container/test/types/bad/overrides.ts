// An override has to be of the type, and may not live shorter.
import { resource } from "@steward/core";
import { container } from "@steward/container";

const db = resource("db", { start: () => ({ query: (sql: string) => [sql] }) });
const users = resource("users", { needs: { db }, start: ({ db }) => db.query("x") });
const app = container([users]);
const wrong = resource("wrong", { start: () => ({ query: (sql: number) => [sql] }) });
const short = resource("short", { lifetime: "request", start: () => ({ query: (sql: string) => [sql] }) });

app.override(db, { query: () => 3 }); // error: TS2769 No overload matches this call
app.override(db, wrong); // error: TS2769 No overload matches this call
app.override(db, short); // error: TS2769 No overload matches this call
