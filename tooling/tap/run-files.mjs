import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readReport } from "./report.mjs";

/** The one timeout: of a file, in seconds. A file that needs more says so with `t.setTimeout`. */
const TIMEOUT_S = 300;
/** What a file has for its own end after its time, in ms, in which tap lists what it waited for. */
const GRACE_MS = 10_000;
/** The shell's name for an exit by a signal. */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/**
 * Runs test files, each in a process of its own that reports its cases: `tap run` would compile them anew, and read
 * every assertion once more from their output, which took as much CPU as a small file.
 *
 * @param tests `{ directory, file }` each, in the order they are begun
 * @param jobs how many run at once
 * @param onFile gets `{ directory, file, ok, ms, cpuMs, cases }` at the end of each
 */
export async function runFiles(tests, { jobs, env, onFile }) {
  const folder = mkdtempSync(join(tmpdir(), "steward-tests-"));
  const running = new Set();
  for (const [signal, code] of Object.entries(EXIT_CODES)) {
    process.once(signal, () => {
      for (const child of running) child.kill(signal);
      rmSync(folder, { recursive: true, force: true });
      process.exit(code);
    });
  }
  const waiting = tests.map((test, number) => ({ ...test, report: join(folder, String(number)) }));
  const next = async () => {
    for (let test = waiting.shift(); test !== undefined; test = waiting.shift())
      onFile(await runFile(test, env, running));
  };
  await Promise.all(Array.from({ length: jobs }, next));
  rmSync(folder, { recursive: true });
}

async function runFile({ directory, file, report }, extra, running) {
  writeFileSync(report, "");
  const output = openSync(outputFile(directory, file), "w");
  // A search by night takes as much longer as it tries more.
  const seconds = TIMEOUT_S * Math.max(1, Number(process.env.STEWARD_EFFORT ?? 1));
  // New clusters of Postgres are copies of the first one.
  const templates = join(import.meta.dirname, ".data/postgres");
  // What Node compiled of the modules, kept for the next file: a tenth of the CPU time of small ones (Node 22.1).
  const compiled = join(import.meta.dirname, ".data/compiled");
  const { NODE_OPTIONS: _loaders, ...outer } = process.env;
  const own = { TAP_TIMEOUT: String(seconds), STEWARD_REPORT: report };
  const since = performance.now();
  const child = spawn(process.execPath, [`--import=${join(import.meta.dirname, "preload.mjs")}`, file], {
    cwd: directory,
    env: { STEWARD_POSTGRES_TEMPLATES: templates, NODE_COMPILE_CACHE: compiled, ...outer, ...extra, ...own },
    stdio: ["ignore", output, "inherit"],
  });
  running.add(child);
  const late = setTimeout(() => child.kill("SIGKILL"), seconds * 1_000 + GRACE_MS);
  const end = await new Promise((resolve, reject) => {
    child.once("error", reject);
    // Not "close": a server that outlived its file may still hold what it wrote to.
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  clearTimeout(late);
  running.delete(child);
  closeSync(output);
  const { cases, cpu } = readReport(report, file, end);
  const ok = !cases.some(({ kind }) => kind === "failed");
  return { directory, file, ok, ms: Math.round(performance.now() - since), cpuMs: cpu, cases };
}

/** Where the output of a file stands, in TAP. */
function outputFile(directory, file) {
  const folder = join(directory, ".results");
  if (!existsSync(folder)) mkdirSync(folder);
  return join(folder, `${file.replace(/^(\.test\/)?test\//, "").replaceAll("/", "-")}.tap`);
}
