import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const here = import.meta.dirname;
const flags = [join(here, "preload.mjs"), join(here, "../tap/preload.mjs")].map((file) => `--import=${file}`);
/** A case that takes longer is left out, in ms of CPU: each mutant that survives pays for it. */
const SLOWEST_CASE_MS = 2_000;
/** What a run may take beside its cases, in ms of CPU, and how often as long as without a mutant these. */
const [START_MS, SLOWER] = [2_000, 3];
/** CPU is bounded, so that a busy machine looks like no endless loop; what waits for ever is ended after this, in ms. */
const LONGEST_MS = 300_000;

/** Runs cases; whether they passed, whether they ran over their time, and what they wrote. */
async function run(directory, what, env, cpuMs) {
  const place = mkdtempSync(join(tmpdir(), "steward-mutate-"));
  const output = join(place, "output");
  const given = { TAP_BAIL: "1", TAP_TIMEOUT: "240", STEWARD_EFFORT: "0.01", ...process.env, ...env };
  const bounded = ["-c", `ulimit -t ${Math.ceil(cpuMs / 1_000)}; exec "$@"`, "sh", process.execPath, ...flags];
  const child = spawn("sh", [...bounded, join(here, "cases.mjs")], {
    cwd: directory,
    env: { ...given, STEWARD_CASES: JSON.stringify({ ...what, output }) },
    stdio: "ignore",
    detached: true,
  });
  const timer = setTimeout(() => process.kill(-child.pid, "SIGKILL"), LONGEST_MS);
  try {
    const [code, signal] = await new Promise((resolve) => child.on("exit", (...ended) => resolve(ended)));
    const written = existsSync(output) ? readFileSync(output, "utf8") : "";
    return { ok: code === 0, late: signal !== null, written };
  } finally {
    clearTimeout(timer);
    rmSync(place, { recursive: true, force: true });
  }
}

/** Runs a test file without a mutant: its cases, which mutants each meets, and how long each takes, in ms of CPU. */
export async function measure(directory, file) {
  const { ok, written } = await run(directory, { files: [file] }, {}, LONGEST_MS);
  if (!ok) return { file, ok, cases: [], slow: 0 };
  const { met, cases } = JSON.parse(written);
  const quick = cases.filter(({ ms }) => ms <= SLOWEST_CASE_MS);
  // What is met while a module is loaded is in force in all cases.
  const all = quick.map((one) => ({ ...one, file, met: new Set([...met, ...one.met]) }));
  return { file, ok, cases: all, slow: cases.length - quick.length };
}

/** Marks the files whose cases fail in one process with those of others, such as a count of all containers of a process. */
export async function setApart(directory, measured) {
  for (;;) {
    const together = measured.filter(({ apart }) => apart !== true);
    const { ok, written } = await runWith(0, directory, together);
    if (ok) return;
    const last = together.find(({ file }) => file === written);
    if (last === undefined) throw new Error("the test files do not pass without a mutant");
    last.apart = true;
  }
}

/**
 * What became of a mutant: "killed", "timeout", "survived", or "unreached" where no case meets it.
 *
 * @param known what became of it in test files earlier, by the key of the file.
 * @param note called with the key of a file and what becomes of it there.
 */
export async function verdictOn(id, directory, measured, known = new Map(), note = () => {}) {
  const meeting = measured
    .map((test) => ({ ...test, cases: test.cases.filter(({ met }) => met.has(id)) }))
    .filter(({ cases }) => cases.length > 0);
  if (meeting.length === 0) return "unreached";
  const before = meeting.map(({ key }) => known.get(key)).find((verdict) => (verdict ?? "survived") !== "survived");
  if (before !== undefined) return before;
  const left = meeting.filter(({ key }) => !known.has(key));
  if (left.length === 0) return "survived";
  const processes = [
    left.filter(({ apart }) => apart !== true),
    ...left.filter(({ apart }) => apart).map((one) => [one]),
  ];
  for (const tests of processes.filter(({ length }) => length > 0)) {
    const { ok, late, written } = await runWith(id, directory, tests);
    if (!ok) {
      const last = tests.find(({ file }) => file === written);
      if (last !== undefined) note(last.key, late ? "timeout" : "killed");
      return late ? "timeout" : "killed";
    }
    for (const { key } of tests) note(key, "survived");
  }
  return "survived";
}

function runWith(id, directory, tests) {
  // The quickest first: most mutants are killed by one of them.
  const cases = tests.flatMap((one) => one.cases).sort((a, b) => a.ms - b.ms);
  const files = [...new Set(cases.map(({ file }) => file))];
  const chosen = cases.map(({ file, n }) => [file, n]);
  const usualMs = cases.reduce((sum, { ms }) => sum + ms, 0);
  return run(directory, { files, chosen }, { STEWARD_MUTANT: String(id) }, START_MS + SLOWER * usualMs);
}
