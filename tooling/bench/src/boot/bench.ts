import { loadavg } from "node:os";
import { output } from "../harness/process.ts";
import { estimated, figure, spread, type Findings } from "../harness/report.ts";
import type { Settings } from "../harness/settings.ts";
import { estimate, type Estimate } from "../harness/statistics.ts";
import { Clone } from "./clone.ts";
import { bootMs } from "./service.ts";

const FIRST_RUNS = 3;
const WARM_RUNS = 5;

/** From `npm start` to the first 200 of `/readyz`, in a fresh copy of the repository: right after install, and warm. */
export async function bootBench({ say }: Settings): Promise<Findings> {
  await using clone = await Clone.make();
  say("boot: installing in a fresh copy");
  await clone.install();
  const first: number[] = [];
  for (let run = 0; run < FIRST_RUNS; run++) {
    say(`boot: first start ${run + 1} of ${FIRST_RUNS}`);
    clone.forget();
    first.push((await bootMs(clone.folder)) / 1000);
  }
  const warm: number[] = [];
  const empty: number[] = [];
  for (let run = 0; run < WARM_RUNS; run++) {
    say(`boot: warm start ${run + 1} of ${WARM_RUNS}`);
    warm.push((await bootMs(clone.folder)) / 1000);
    empty.push(await emptyMs());
  }
  return findings(estimate(first), estimate(warm), estimate(empty));
}

/** What the machine makes of a process that does nothing: the yardstick of its mood. */
async function emptyMs(): Promise<number> {
  const before = performance.now();
  await output(process.execPath, ["--eval", "0"]);
  return performance.now() - before;
}

function findings(first: Estimate, warm: Estimate, empty: Estimate): Findings {
  return {
    targets: [
      estimated("npm start to /readyz, first time after install", first, "<=", 8, "s"),
      estimated("npm start to /readyz, after that", warm, "<=", 2, "s"),
    ],
    tables: [
      {
        title: "npm start to the first 200 of /readyz, seconds",
        columns: ["start", "s (range)", "runs"],
        rows: [
          ["first after install: builds, makes the database", spread(first), first.samples],
          ["warm", spread(warm), warm.samples],
        ],
        note: `Wall time. In the same minutes an empty Node process took ${spread(empty)} ms; load average ${loadavg().map(figure).join(", ")}.`,
      },
    ],
  };
}
