// The first program of the README, with a real database.
import { container } from "../../src/index.ts";
import { resource } from "@steward/core";
import { postgresForTests } from "@steward/launchers";
import postgres from "postgres";
import t from "tap";

const server = await postgresForTests();
t.teardown(() => server[Symbol.asyncDispose]());

t.test("p01: a real database starts before what uses it and is closed after it", { skip: server.skip }, async (t) => {
  const db = resource("db", {
    start: () => postgres(server.url, { max: 5 }),
    probe: async (sql) => sql`select 1`,
    stop: (sql) => sql.end(),
  });
  const users = resource("users", {
    needs: { db },
    start: ({ db }) => ({
      names: async () => (await db<{ name: string }[]>`select 'ann' as name`).map((row) => row.name),
    }),
  });
  const running = await container([users]).start();
  t.strictSame(await running.get(users).names(), ["ann"]);
  await running.probe();
  t.equal(running.health().status, "healthy");
  const sql = running.get(db);
  await running.stop();
  await t.rejects(async () => sql`select 1`, { code: "CONNECTION_ENDED" });
});
