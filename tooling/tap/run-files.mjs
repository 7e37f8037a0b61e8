import { createWriteStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import { watchCases } from "./cases.mjs";
import t from "./dist/index.js";

/** The one timeout: of a file, in seconds. A file that needs more says so with `t.setTimeout`. */
const TIMEOUT_S = 300;
const JOBS = 2;
/** The shell's name for an exit by a signal. */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/**
 * Runs test files by tap's own API. `tap run` would do the same with a compiler, mocks and a coverage hook loaded into
 * each process, which cost two CPU seconds a file; tests that are compiled beforehand need none of them.
 *
 * @returns the exit code
 */
export async function runFiles(directory, files, { env, onCase, onFile }) {
  mkdirSync(join(directory, ".results"), { recursive: true });
  t.register();
  t.setTimeout(0);
  t.pipe(createWriteStream(join(directory, ".results/suite.tap")));
  t.jobs = Math.max(1, Math.min(JOBS, files.length));
  const states = new Map();
  t.on("subtestStart", (file) => states.set(file, watchCases(file.parser, [file.name], onCase)));
  t.on("subtestEnd", (file) => {
    states.get(file).close(file.options);
    onFile({ name: file.name, ok: file.results?.ok ?? false, time: file.time ?? 0 });
  });
  for (const [signal, code] of Object.entries(EXIT_CODES)) {
    process.once(signal, () => {
      t.endAll();
      process.exit(code);
    });
  }
  for (const file of files) t.spawn(...command(directory, file, env));
  t.end();
  await t.promise();
  return t.passing() ? 0 : 1;
}

function command(directory, file, extra) {
  const preload = join(import.meta.dirname, "preload.mjs");
  const node = [process.execPath, `--import=${preload}`, file];
  // A search by night takes as much longer as it tries more.
  const seconds = TIMEOUT_S * Math.max(1, Number(process.env.STEWARD_EFFORT ?? 1));
  // New clusters of Postgres are copies of the first one.
  const templates = join(import.meta.dirname, ".data/postgres");
  const env = { STEWARD_POSTGRES_TEMPLATES: templates, ...process.env, ...extra, TAP_TIMEOUT: String(seconds) };
  const options = { name: file, cwd: directory, env, timeout: seconds * 1000, buffered: true, at: null, stack: "" };
  // tap puts its coverage hook into NODE_OPTIONS of what it starts.
  return ["env", ["-u", "NODE_OPTIONS", ...node], options];
}
