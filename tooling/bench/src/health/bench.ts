import { measureIn, ownNode } from "../harness/process.ts";
import { exactly, type Findings } from "../harness/report.ts";
import type { Settings } from "../harness/settings.ts";
import type { Soaked } from "./soak.ts";

const SEEDS = 1_000;
const AT_ONCE = 100;

/** An hour of virtual time with random failures of probes and stalls of the event loop, a thousand times. */
export async function healthBench({ say }: Settings): Promise<Findings> {
  const all: Soaked[] = [];
  for (let from = 0; from < SEEDS; from += AT_ONCE) {
    say(`health: hours ${from + 1} to ${from + AT_ONCE} of ${SEEDS}`);
    all.push((await measureIn(ownNode(), "health/soak.js", [String(from), String(from + AT_ONCE)])) as Soaked); // soak.ts prints it
  }
  return judged(all);
}

function judged(all: readonly Soaked[]): Findings {
  const sum = (of: (one: Soaked) => number): number => all.reduce((total, one) => total + of(one), 0);
  const [seeds, flips, opened] = [sum((one) => one.seeds), sum((one) => one.falseFlips), sum((one) => one.opened)];
  const [outages, found] = [sum((one) => one.outages), sum((one) => one.found)];
  const [probes, failed, stalls] = [sum((one) => one.probes), sum((one) => one.failedProbes), sum((one) => one.stalls)];
  return {
    targets: [
      exactly("health: hours lived through", seeds, "=", SEEDS, "hours"),
      exactly("health: false flips", flips, "=", 0, "flips"),
      exactly("health: breakers opened by a stall", opened, "=", 0, "times"),
      exactly("health: real outages found within a minute", found, "=", outages, "outages"),
    ],
    tables: [
      {
        title: "An hour of health in virtual time, 1 % of probes fail at random, the event loop stalls for 600 ms",
        columns: ["hours", "probes", "failed", "stalls", "false flips", "breakers opened", "real outages", "found"],
        rows: [[seeds, probes, failed, stalls, flips, opened, outages, found]],
      },
    ],
  };
}
