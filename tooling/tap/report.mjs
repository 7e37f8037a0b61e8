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
  let countedMs = 0;
  const ended = (file, ms) => {
    const cpuMs = usedMs();
    write({ kind: "file", file, ms: ms && Math.round(ms), cpuMs: cpuMs - countedMs });
    countedMs = cpuMs;
  };
  return {
    /** Notes what a parser of tap says, of one file, or of several, each of which is a subtest of its name. */
    watch(parser, alone) {
      watchCases(
        parser,
        alone === undefined ? [] : [alone],
        ({ kind, path, result }) => write({ kind, path, result: kind === "failed" ? shown(result) : undefined }),
        (result) => write({ kind: "failure", result: shown(result) }),
      );
      if (alone !== undefined) process.on("exit", () => ended(alone));
    },
    failed: (file, why) => write({ kind: "failed", path: [file], result: { name: why } }),
    ended,
  };
}

/** CPU of this process and of those it has waited for, in ms, where /proc says; else of this one alone. */
function usedMs() {
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
 * What a report says of each file: its cases, whose paths begin with the file, and the time and the CPU that it took.
 * The last case of a file that broke off or failed by itself is its failure.
 */
export function readReport(report, files, { code, signal }) {
  const lines = readFileSync(report, "utf8").split("\n").filter(Boolean);
  const all = lines.map((line) => JSON.parse(line));
  const result = all.find(({ kind }) => kind === "failure")?.result ?? {
    name: "the file failed",
    diag: { exitCode: code, signal },
  };
  const ends = files.map((file) => {
    // What passed without a case of its own is the file alone.
    const cases = all.filter(({ kind, path }) => path?.[0] === file && (path.length > 1 || kind === "failed"));
    const { ms, cpuMs } = all.find((line) => line.kind === "file" && line.file === file) ?? {};
    if (cpuMs === undefined && !hasFailed(cases)) cases.push({ kind: "failed", path: [file], result });
    else if (cases.length === 0) cases.push({ kind: "failed", path: [file], result: { name: "it has no case" } });
    return { file, ms, cpuMs, cases };
  });
  const isBroken = code !== 0 || all.some(({ kind }) => kind === "failure");
  if (isBroken && !ends.some(({ cases }) => hasFailed(cases)))
    ends.at(-1).cases.push({ kind: "failed", path: [files.at(-1)], result });
  return ends;
}

/** Whether one of these cases failed. */
export function hasFailed(cases) {
  return cases.some(({ kind }) => kind === "failed");
}
