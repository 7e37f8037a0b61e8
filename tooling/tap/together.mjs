// Runs several test files in one process, one after the other: to start a process, and to load once more what all of
// them load, costs more than most files do.
//   node --import ./preload.mjs together.mjs <file> ...
// Each file is a subtest of its name, which gets what the file does with `t`. So its teardowns have run, and it is looked
// at what it left open, before the next file begins.
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import t from "./dist/index.js";
import { acceptLeftOpen, leftOpen, report } from "./preload.mjs";
import { inSources } from "./sources.mjs";

/** Comes after the last file. */
const END = "end of all files";

const files = process.argv.slice(2);
const timeout = t.options.timeout / files.length;
/** What is being closed has so long for it, in ms: a minute by default, in which a busy machine ends a child. */
const closingMs = timeout / 5;
const begin = t.test.bind(t);
let current;
for (const name of ["test", "before", "beforeEach", "after", "afterEach", "teardown", "setTimeout"])
  t[name] = (...args) => current[name](...args);

let since = 0;
// All are queued at once: tap lets no more begin once it has seen an event loop without work, as some tests have at times.
for (const [i, file] of files.entries())
  void begin(file, { timeout }, async (own) => {
    if (i > 0) await close(files[i - 1]);
    since = performance.now();
    current = own;
    await import(pathToFileURL(resolve(file)));
  });
await begin(END, () => close(files.at(-1)));
if (process.exitCode) process.exit(); // what was left open may keep it
void sleep(closingMs, undefined, { ref: false }).then(() => {
  console.error(`LEFT OPEN at the end of all files: ${process.getActiveResourcesInfo().join(", ")}`);
  process.exit(1);
});

/** A file has ended: looks at what it left open, and says what it took. */
async function close(file) {
  const left = await leftAfter();
  if (left.length > 0) {
    console.error(inSources(`LEFT OPEN at the end of ${file}:\n  ${left.join("\n  ")}`));
    report?.failed(file, "it left something open");
    process.exitCode = 1;
    acceptLeftOpen();
  }
  report?.ended(file, performance.now() - since);
}

async function leftAfter() {
  const until = performance.now() + closingMs;
  for (;;) {
    const left = leftOpen();
    if (left.length === 0 || performance.now() > until) return left;
    await sleep(50);
  }
}
