import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { hasFailed, readReport } from "./report.mjs";
import { makeTemporary } from "./temporary.mjs";

/** The one timeout: of a file, in seconds. A file that needs more says so with `t.setTimeout`. */
const TIMEOUT_S = 300;
/** What a file has for its own end after its time, in ms, in which tap lists what it waited for. */
const GRACE_MS = 10_000;
/** How often one looks whether the cores have something to do, in ms, and which part of the time is idle where they have not. */
const [LOOK_MS, IDLE] = [500, 0.2];
/** The shell's name for an exit by a signal. */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/**
 * Runs test files in processes that report their cases: `tap run` would compile them anew, and read every assertion once
 * more from their output, which took as much CPU as a small file.
 *
 * @param processes `{ directory, files }` each, in the order they are begun
 * @param jobs how many run at once
 * @param most how many while the cores would be idle: many files wait for servers and deadlines
 * @param onFile gets `{ directory, file, ok, ms, cpuMs, cases }` at the end of each
 */
export async function runFiles(processes, { jobs, most = jobs, env, onFile }) {
  const { folder, remove } = makeTemporary();
  const running = new Set();
  for (const [signal, code] of Object.entries(EXIT_CODES)) {
    process.once(signal, () => {
      for (const child of running) child.kill(signal);
      remove();
      process.exit(code);
    });
  }
  const waiting = processes.map((one, number) => ({ ...one, report: join(folder, String(number)) }));
  const one = async () => {
    const begun = waiting.shift();
    if (begun !== undefined)
      for (const ended of await runProcess(begun, { TMPDIR: folder, ...env }, running)) onFile(ended);
  };
  const next = async () => {
    while (waiting.length > 0) await one();
  };
  const lines = Array.from({ length: jobs }, next);
  const idle = idleShare();
  const look = setInterval(() => {
    if (idle() > IDLE && running.size < most) lines.push(one());
  }, LOOK_MS);
  // Its end is seen here too, as it grows meanwhile.
  for (const line of lines) await line;
  clearInterval(look);
  remove();
}

/** Gives the part of the time that the cores were idle since it was called last. */
function idleShare() {
  let before = coreTimes();
  return () => {
    const now = coreTimes();
    const share = (now.idle - before.idle) / (now.all - before.all || 1);
    before = now;
    return share;
  };
}

function coreTimes() {
  const times = cpus().map((core) => core.times);
  const idle = times.reduce((sum, one) => sum + one.idle, 0);
  return { idle, all: times.flatMap(Object.values).reduce((sum, ms) => sum + ms, 0) };
}

async function runProcess({ directory, files, report }, extra, running) {
  writeFileSync(report, "");
  const output = openSync(outputFile(directory, files[0]), "w");
  // A search by night takes as much longer as it tries more.
  const seconds = files.length * TIMEOUT_S * Math.max(1, Number(process.env.STEWARD_EFFORT ?? 1));
  // New clusters of Postgres are copies of the first one.
  const templates = join(import.meta.dirname, ".data/postgres");
  // What Node compiled of the modules, kept for the next file: a tenth of the CPU time of small ones (Node 22.1).
  const compiled = join(import.meta.dirname, ".data/compiled");
  const { NODE_OPTIONS: _loaders, ...outer } = process.env;
  const own = { TAP_TIMEOUT: String(seconds), STEWARD_REPORT: report };
  const since = performance.now();
  const together = files.length > 1 ? [join(import.meta.dirname, "together.mjs")] : [];
  const preload = `--import=${join(import.meta.dirname, "preload.mjs")}`;
  const child = spawn(process.execPath, [preload, ...together, ...files], {
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
  const tookMs = Math.round(performance.now() - since);
  return readReport(report, files, end).map(({ file, ms = tookMs, cpuMs, cases }) => {
    return { directory, file, ok: !hasFailed(cases), ms, cpuMs, cases };
  });
}

/** Where the output of a process stands, in TAP, by its first file. */
function outputFile(directory, file) {
  const folder = join(directory, ".results");
  if (!existsSync(folder)) mkdirSync(folder);
  return join(folder, `${file.replace(/^(\.test\/)?test\//, "").replaceAll("/", "-")}.tap`);
}
