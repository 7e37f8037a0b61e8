import { rounds } from "@steward/testing";
import t from "tap";
import { World } from "./restart-world.ts";

const RESTARTS = 200;
const seeds = Number(process.env["STEWARD_SEEDS"] ?? rounds(200));
const from = Number(process.env["STEWARD_FROM"] ?? 1);

/** For one seed, on a machine that does other work: it takes half a second of CPU. */
const SLOWEST_MS = 1_500;

t.setTimeout(200_000 + seeds * SLOWEST_MS);

t.test("random restarts, stops and failures break no rule", async (t) => {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0; // errors are part of every restart here, and their stacks are not read
  t.teardown(() => (Error.stackTraceLimit = stackTraceLimit));
  const seen = { starts: 0, restarts: 0, failedRestarts: 0, uses: 0, stops: 0 };
  for (let seed = from; seed < from + seeds; seed++) {
    const ledger = await new World(seed).run(RESTARTS);
    for (const key of Object.keys(seen) as (keyof typeof seen)[]) seen[key] += ledger[key];
    const rerun = `seed ${seed}: run it alone with STEWARD_FROM=${seed} STEWARD_SEEDS=1`;
    if (ledger.broken.length > 0) return void t.strictSame(ledger.broken.slice(0, 5), [], rerun);
  }
  t.comment(`${seeds} seeds: ${JSON.stringify(seen)}`);
  t.ok(seen.restarts >= seeds * 20 && seen.failedRestarts >= seeds && seen.stops >= seeds, JSON.stringify(seen));
});
