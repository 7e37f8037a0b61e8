import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { testDatabase } from "@steward/database/testing";
import { until } from "@steward/testing";
import { startPostgres } from "@steward/launchers";
import t from "tap";
import { app } from "../src/app.ts";
import { server } from "../src/server.ts";
import { environment } from "../src/settings.ts";
import { db } from "../src/stores.ts";

const quickImports = import.meta.resolve("tap/quick-imports");
const env = environment.is({ PORT: "0" });

async function post(url: string, body: object): Promise<number> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/notes`, { method: "POST", headers, body: JSON.stringify(body) });
  await response.text();
  return response.status;
}

t.test("a note is there once the answer has come, and one that is refused leaves nothing", async () => {
  await using running = await app.override(db, testDatabase.definition(db)).start([env]);
  const { url } = running.get(server);
  assert.equal((await fetch(`${url}/readyz`)).status, 200);
  assert.deepEqual(await (await fetch(`${url}/notes`)).json(), { items: [], count: 0 });
  assert.equal(await post(url, { text: "milk" }), 201);
  assert.equal(await post(url, { text: "" }), 422);
  assert.equal(await post(url, { text: "a\0b" }), 422, "which Postgres would not take");
  assert.equal(await post(url, { text: "milk" }), 409, "rolled back after its insert");
  const { items, count } = (await (await fetch(`${url}/notes`)).json()) as { items: { text: string }[]; count: number };
  assert.deepEqual([items.map(({ text }) => text), count], [["milk"], 1], "counted anew");
  assert.match(await (await fetch(`${url}/notes/1`)).text(), /"milk"/);
  assert.equal((await fetch(`${url}/notes/2`)).status, 404);
});

t.test("a variable that is misspelt ends the start, with the name that is meant", async () => {
  await assert.rejects(app.start([environment.is({ DATABASE_UR: "postgres://localhost/notes" })]), {
    message: /DATABASE_URL/,
  });
});

t.test("as a process it says what to try, and ends by a signal", async (t) => {
  await using postgres = await startPostgres();
  const main = join(import.meta.dirname, "../src/main.js");
  const env = { ...process.env, PORT: "0", DATABASE_URL: postgres.url };
  const child = spawn(process.execPath, [`--import=${quickImports}`, main], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  await until(() => /readyz$/m.test(said), "it is ready");
  const [, url = ""] = /curl (\S+)\/notes$/m.exec(said) ?? [];
  assert.equal(await post(url, { text: "milk" }), 201);
  const atOnce = (texts: readonly string[]): Promise<number[]> => Promise.all(texts.map((text) => post(url, { text })));
  assert.deepEqual(await atOnce(["tea", "bread", "salt", "jam"]), [201, 201, 201, 201]);
  assert.deepEqual((await atOnce(["eggs", "eggs", "eggs", "eggs"])).sort(), [201, 409, 409, 409]);
  assert.equal((await fetch(`${url}/readyz`)).status, 200);
  child.kill("SIGINT");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});
