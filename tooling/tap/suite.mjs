import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { failureBlock } from "./print.mjs";

/** What the files of one package gave. */
export class Suite {
  name;
  #directory;
  #counts = { passed: 0, failed: 0, skipped: 0 };
  #times = {};

  constructor(directory) {
    this.#directory = directory;
    this.name = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")).name;
  }

  /** How long files took when the whole suite ran last, `{ ms, cpuMs }` by name. */
  static timesOf(directory) {
    const file = join(directory, ".results/times.json");
    return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  }

  add({ file, ms, cpuMs, cases }) {
    this.#times[file] = { ms, cpuMs };
    for (const one of cases) {
      this.#counts[one.kind] += 1;
      if (one.kind === "failed") console.error(failureBlock(one));
    }
  }

  /** The line about it, and whether it is one of success: a suite that ran nothing is none. */
  end() {
    const { passed, skipped } = this.#counts;
    if (this.#counts.failed === 0 && passed + skipped === 0) this.#counts.failed = 1;
    const { failed } = this.#counts;
    const also = skipped > 0 ? `, ${skipped} skipped` : "";
    return {
      ok: failed === 0,
      line: `${this.name} on Node ${process.version}: ${passed} passed, ${failed} failed${also}`,
    };
  }

  /** Forgets the results of the last run. */
  clear() {
    rmSync(join(this.#directory, ".results"), { recursive: true, force: true });
  }

  /** Keeps the counts for the summary of npm test, and the times for who runs all suites. */
  save() {
    const folder = join(this.#directory, ".results");
    mkdirSync(folder, { recursive: true });
    const counts = { name: this.name, ...this.#counts, node: process.version };
    writeFileSync(join(folder, "suite.json"), `${JSON.stringify(counts)}\n`);
    writeFileSync(join(folder, "times.json"), `${JSON.stringify(this.#times)}\n`);
  }
}
