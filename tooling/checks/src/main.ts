import { join, resolve } from "node:path";
import { castReasons } from "./cast-reasons.ts";
import type { Check } from "./check.ts";
import { dependencies } from "./dependencies.ts";
import { docstrings } from "./docstrings.ts";
import { driverShape } from "./driver-shape.ts";
import { errorCodes } from "./error-codes.ts";
import { faces } from "./faces.ts";
import { importDirection } from "./import-direction.ts";
import { layout } from "./layout.ts";
import { metricNames } from "./metric-names.ts";
import { ownWords } from "./own-words.ts";
import { plainWords } from "./plain-words.ts";
import { installLines } from "./published/install-lines.ts";
import { published } from "./published/check.ts";
import { readWorkspace } from "./workspace.ts";

const checks: readonly Check[] = [
  importDirection,
  dependencies,
  driverShape,
  layout,
  castReasons,
  errorCodes,
  docstrings,
  faces,
  metricNames,
  ownWords,
  plainWords,
  published,
  installLines,
];
const workspace = readWorkspace(resolve(process.argv[2] ?? join(import.meta.dirname, "../../..")));

let failed = 0;
for (const { name, run } of checks) {
  const { saw, problems } = run(workspace);
  if (problems.length > 0) failed += 1;
  console.log(`${problems.length === 0 ? "ok  " : "FAIL"} ${name} (saw ${saw})`);
  for (const problem of problems) console.log(`       ${problem}`);
}
console.log(`${checks.length - failed} of ${checks.length} checks hold`);
process.exitCode = failed === 0 ? 0 : 1;
