// npm run chaos soak [--minutes 30]
import { printVerdicts, save } from "../report/print.ts";
import { soak } from "./soak.ts";
import { soakVerdicts } from "./report.ts";

/** Runs a soak and judges it; gives how many lines were missed. */
export async function runSoak(minutes: number): Promise<number> {
  const report = await soak(minutes, (what) => console.error(`  ${what}`));
  const { samples: _each, ...rest } = report;
  console.log(JSON.stringify(rest, null, 2));
  save("soak", report);
  return printVerdicts(soakVerdicts(report));
}
