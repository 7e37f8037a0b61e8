import { join } from "node:path";
import { type Findings, measureIn, row } from "@steward/harness";
import type { Settings } from "../settings.ts";
import type { Soaked } from "./soak.ts";

const SEEDS = 600;
const AT_ONCE = 100;
const area = "health";

/** An hour of virtual time with random failures of probes and stalls of the event loop, hundreds of times. */
export async function healthBench({ say, node }: Settings): Promise<Findings> {
  const all: Soaked[] = [];
  for (let from = 0; from < SEEDS; from += AT_ONCE) {
    say(`hours ${from + 1} to ${from + AT_ONCE} of ${SEEDS}`);
    const args = [String(from), String(from + AT_ONCE)];
    all.push((await measureIn({ node }, join(import.meta.dirname, "soak.js"), args)) as Soaked); // soak.ts prints it
  }
  const sum = (name: keyof Soaked): number => all.reduce((total, one) => total + one[name], 0);
  const during = `in ${sum("seeds")} virtual hours with ${sum("failedProbes")} failed probes and ${sum("stalls")} stalls`;
  return {
    rows: [
      row({ area, work: `false flips ${during}`, unit: "flips", ours: sum("falseFlips"), bar: "= 0" }),
      row({ area, work: "breakers that a stall opened", unit: "times", ours: sum("opened"), bar: "= 0" }),
      row({ area, work: "real outages found within a minute", unit: "outages", ours: sum("found"), bar: `= ${SEEDS}` }),
    ],
  };
}
