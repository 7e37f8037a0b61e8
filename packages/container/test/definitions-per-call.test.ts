import { execFileSync } from "node:child_process";
import t from "tap";

/** Scopes with definitions made for each of them, in a process whose heap can be collected; prints how it grew, in bytes. */
const PROGRAM = `
import { resource } from "@steward/core";
import { container } from "@steward/container";
const db = resource("db", { start: () => ({ n: 1 }) });
const running = await container([db]).start();
const scopes = async (count) => {
  for (let i = 0; i < count; i++) {
    const query = resource("query", { lifetime: "request", needs: { db }, start: ({ db }) => db.n + i });
    await running.scope([], { ["key" + (i % 1_000)]: query }, (values) => values);
  }
};
const heap = () => (gc(), gc(), process.memoryUsage().heapUsed);
await scopes(20_000);
const before = heap();
await scopes(100_000);
console.log(heap() - before);
await running.stop();
`;

t.test("definitions and keys made for each of 100,000 scopes cost nothing after them", (t) => {
  const args = ["--expose-gc", "--input-type=module", "--eval", PROGRAM];
  const grown = Number(execFileSync(process.execPath, args, { cwd: import.meta.dirname, encoding: "utf8" }));
  t.comment(`${Math.round(grown / 1_024)} KiB`);
  t.ok(grown < 1_048_576, `grew by ${grown} bytes`);
  t.end();
});
