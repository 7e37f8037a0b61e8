// npm run metadata: writes into every published package.json what it says as all others do.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { libraries, readWorkspace } from "../workspace.ts";
import { readRoot, sharedFields, type RootManifest } from "./shared.ts";

/** The order in which npm's own documentation has them. */
const ORDER =
  `name version description keywords homepage bugs license author repository bin files type sideEffects imports
  exports publishConfig scripts`.split(/\s+/);

const root = join(import.meta.dirname, "../../../..");
const shared = readRoot(root) as RootManifest; // the check says what is missing
let changed = 0;
for (const pack of libraries(readWorkspace(root))) {
  const file = join(pack.directory, "package.json");
  const before = readFileSync(file, "utf8");
  const fields = { ...(JSON.parse(before) as Record<string, unknown>), ...sharedFields(shared, pack) };
  const known = ORDER.filter((name) => Object.hasOwn(fields, name));
  const rest = Object.keys(fields).filter((name) => !ORDER.includes(name));
  const sorted = Object.fromEntries(
    [...known, ...rest].map((name) => [name, (fields as Record<string, unknown>)[name]]),
  );
  const after = `${JSON.stringify(sorted, undefined, 2)}\n`;
  if (after === before) continue;
  writeFileSync(file, after);
  changed += 1;
}
console.log(`metadata: ${changed} files changed`);
