import { type Findings, nodeOf, type Row } from "@steward/harness";
import type { Settings } from "../settings.ts";
import type { Findings as Old } from "./report.ts";
import type { Settings as OldSettings } from "./settings.ts";

/** An area in its old form. */
export function adapted(
  area: string,
  bench: (settings: OldSettings) => Promise<Old>,
): (settings: Settings) => Promise<Findings> {
  return async ({ rounds, say }) => {
    await nodeOf(20);
    const { targets, tables } = await bench({ rounds, say, nodes: [Number(process.versions.node.split(".")[0])] });
    const rows = targets.map(({ name, measured, interval, bound, wanted, unit, verdict }): Row => {
      const ours =
        interval === undefined ? measured : { median: measured, low: interval[0], high: interval[1], samples: rounds };
      return { area, work: name, unit, ours, bar: { bound, wanted }, verdict };
    });
    return { rows, tables };
  };
}
