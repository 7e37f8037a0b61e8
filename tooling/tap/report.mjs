// What a test file reports to the runner: a line of JSON for each case, written at once, so that a crash loses the last one alone.
import { openSync, readFileSync, writeSync } from "node:fs";
import { watchCases } from "./cases.mjs";

/** Opens the report that the runner asked for; a file that a person runs by hand has none. */
export function openReport() {
  const file = process.env.STEWARD_REPORT;
  if (file === undefined) return undefined;
  // It is of this process alone, not of the threads and processes that a test starts.
  delete process.env.STEWARD_REPORT;
  const report = openSync(file, "a");
  const write = (line) => writeSync(report, `${JSON.stringify(line)}\n`);
  const shown = ({ name, diag }) => ({ name, diag });
  return {
    watch(parser) {
      watchCases(
        parser,
        [],
        ({ kind, path, result }) => write({ kind, path, result: kind === "failed" ? shown(result) : undefined }),
        (result) => write({ kind: "failure", result: shown(result) }),
      );
      process.on("exit", () => write({ kind: "end", cpuMs: cpuMs() }));
    },
  };
}

/** CPU of this process and of those it has waited for, in ms, where /proc says; else of this one alone. */
function cpuMs() {
  try {
    // After the name, which may hold anything: utime, stime, cutime and cstime are the 14th to 17th, in ticks of 10 ms.
    const fields = readFileSync("/proc/self/stat", "utf8").split(") ").at(-1).split(" ");
    return 10 * fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
  } catch {
    const { user, system } = process.cpuUsage();
    return Math.round((user + system) / 1_000);
  }
}

/**
 * What a report says: the cases, with `file` before their paths, the last one for a file that broke off or failed by
 * itself, and the CPU that the file took.
 */
export function readReport(report, file, { code, signal }) {
  const lines = readFileSync(report, "utf8").split("\n").filter(Boolean);
  const all = lines.map((line) => JSON.parse(line));
  const cases = all.filter(({ path }) => path !== undefined).map((one) => ({ ...one, path: [file, ...one.path] }));
  const cpu = all.find(({ kind }) => kind === "end")?.cpuMs;
  if (cases.some(({ kind }) => kind === "failed")) return { cases, cpu };
  const failure = all.find(({ kind }) => kind === "failure")?.result;
  if (failure === undefined && code === 0) return { cases, cpu };
  const result = failure ?? { name: "the file failed", diag: { exitCode: code, signal } };
  return { cases: [...cases, { kind: "failed", path: [file], result }], cpu };
}
