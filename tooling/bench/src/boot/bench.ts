import { type Estimate, estimate, type Findings, output, row, shown } from "@steward/harness";
import type { Settings } from "../settings.ts";
import { Clone } from "./clone.ts";
import { bootMs } from "./service.ts";

const FIRST_RUNS = 2;
const WARM_RUNS = 6;
const area = "boot";

/** From `npm start` to the first 200 of `/readyz`, in a fresh copy of the repository: right after install, and warm. */
export async function bootBench({ say }: Settings): Promise<Findings> {
  await using clone = await Clone.make();
  say("installing in a fresh copy");
  await clone.install();
  const [first, warm, empty]: [number[], number[], number[]] = [[], [], []];
  for (let run = 0; run < FIRST_RUNS; run++) {
    say(`first start ${run + 1} of ${FIRST_RUNS}`);
    clone.forget();
    first.push((await bootMs(clone.folder)) / 1_000);
  }
  for (let run = 0; run < WARM_RUNS; run++) {
    say(`warm start ${run + 1} of ${WARM_RUNS}`);
    warm.push((await bootMs(clone.folder)) / 1_000);
    empty.push(await emptyMs());
  }
  const jitter = shown(estimate(empty));
  const line = (work: string, ours: Estimate, bar: "<= 8" | "<= 2") =>
    row({ area, work: `${work} (an empty Node process: ${jitter} ms)`, unit: "s", ours, bar });
  return {
    rows: [
      line("npm start to /readyz, first after install", estimate(first), "<= 8"),
      line("npm start to /readyz, warm", estimate(warm), "<= 2"),
    ],
  };
}

/** What the machine makes of a process that does nothing. */
async function emptyMs(): Promise<number> {
  const before = performance.now();
  await output(process.execPath, ["--eval", "0"]);
  return performance.now() - before;
}
