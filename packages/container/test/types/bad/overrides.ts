// An override has to be of the type, and may not live shorter.
import { resource } from "@steward/core";
import { container } from "@steward/container";

const db = resource("db", { start: () => ({ query: (sql: string) => [sql] }) });
const users = resource("users", { needs: { db }, start: ({ db }) => db.query("x") });
const app = container([users]);
const wrong = resource("wrong", { start: () => ({ query: (sql: number) => [sql] }) });
const short = resource("short", { lifetime: "request", start: () => ({ query: (sql: string) => [sql] }) });

const down = resource("down", { criticality: "optional", start: () => ({ query: (sql: string) => [sql] }) });

app.override(db, { query: () => 3 }); // error: TS2769 Type 'number' is not assignable to type 'string[]'
app.override(db, wrong); // error: TS2769 Type 'string' is not assignable to type 'number'
app.override(db, short); // error: TS2769 a request resource cannot replace an application resource: it lives shorter
app.override(db, down); // error: TS2769 the replacement may be absent (optional or disabled), and what it replaces may not
