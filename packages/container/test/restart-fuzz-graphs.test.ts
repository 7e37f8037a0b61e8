import { rounds } from "@steward/testing";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import t from "tap";
import type { Outcome, Task } from "./restart-fuzz/worker.ts";

/** `STEWARD_SEEDS` is how many; `STEWARD_SEED` is one, to see it again. */
const ONE = process.env["STEWARD_SEED"];
const SEEDS = ONE === undefined ? Number(process.env["STEWARD_SEEDS"] ?? rounds(50)) : 1;
const RESTARTS = 200;
/**
 * A container's stop in the middle of a restart that was releasing a value of a session; a shared instance that was
 * stopped from two sides; a lazy start of what was being replaced; a cached instance of what was gone; a start
 * after the end of the container, whose stop had not waited for the restart.
 */
const ONCE_FAILED = [494, 2_701, 3_150, 3_636, 4_694];
/** For one seed, on a machine that does other work. */
const SLOWEST_MS = 1_500;

/** Runs some seeds in a thread of its own: without the hooks of the test runner they take half the time. */
async function outcomeOf(seeds: readonly number[]): Promise<Outcome> {
  const workerData: Task = { seeds, restarts: RESTARTS };
  const worker = new Worker(new URL("./restart-fuzz/worker.js", import.meta.url), { workerData });
  const [outcome] = (await once(worker, "message")) as [Outcome]; // the worker sends nothing else
  await worker.terminate();
  return outcome;
}

t.test(`${SEEDS} seeds x ${RESTARTS} restarts: nothing stopped is used, all stops, in order and in time`, async (t) => {
  t.setTimeout(200_000 + SEEDS * SLOWEST_MS);
  const threads = Math.min(availableParallelism(), 2, SEEDS);
  const seeds =
    ONE === undefined
      ? [...new Set([...Array.from({ length: SEEDS }, (_, i) => i + 1), ...ONCE_FAILED])]
      : [Number(ONE)];
  const shares = Array.from({ length: threads }, (_, thread) => seeds.filter((_, i) => i % threads === thread));
  let [restarts, uses] = [0, 0];
  for (const outcome of await Promise.all(shares.map(outcomeOf))) {
    if ("seed" in outcome) {
      const { seed, breaches, log } = outcome;
      console.error(log.join("\n"));
      t.fail(`seed ${seed} (STEWARD_SEED=${seed} shows it again):\n  ${breaches.join("\n  ")}`);
    } else {
      restarts += outcome.restarts;
      uses += outcome.uses;
      t.ok(outcome.uses > outcome.restarts, "what is up is used");
    }
  }
  t.comment(`${restarts} restarts, ${uses} uses`);
});
