import { type BarText, type Row, row, type Table } from "@steward/harness";
import { total } from "../rate.ts";
import type { Hung } from "./hanging.ts";
import { lostIn, type Rolled, type Rollout } from "./rolling.ts";

const area = "rollout";
const round = Math.round;

function cellsOf({ requests, jobs, calls, exitsMs, allowedMs, codes }: Rolled): (string | number)[] {
  const why = [...requests.lost, ...jobs.lost, ...calls.lost].map(([reason, count]) => `${count} ${reason}`);
  return [
    `${requests.sent} (${requests.slow} slow)`,
    total(requests.lost),
    jobs.jobs,
    jobs.pushes,
    jobs.reconnects,
    total(jobs.lost),
    calls.calls,
    total(calls.lost),
    why.join("; ") || "-",
    exitsMs.map(round).join(", "),
    round(allowedMs),
    codes.join(", "),
  ];
}

/** Every rolling restart. */
export function rolloutTable({ balancer, runs, control }: Rollout): Table {
  return {
    title: `Rolling restarts behind ${balancer}: 100 requests/s (2 % take 1.5 s), 3 jobs/s that 10 WebSockets follow, 50 calls of gRPC/s`,
    columns: [
      "run",
      "requests",
      "lost",
      "jobs",
      "pushes",
      "sockets replaced",
      "lost",
      "calls",
      "lost",
      "how",
      "exits of Clips, ms",
      "allowed, ms",
      "exit codes",
    ],
    rows: [...runs.map((run, i) => [i + 1, ...cellsOf(run)]), ["SIGKILL", ...cellsOf(control)]],
  };
}

const line = (work: string, unit: string, ours: number, bar: BarText): Row => row({ area, work, unit, ours, bar });

/** Judges rolling restarts. */
export function rolloutRows({ runs, control, secondSignalMs }: Rollout): Row[] {
  const over = `over ${runs.length} rolling restarts`;
  const sum = (of: (run: Rolled) => number): number => runs.reduce((all, run) => all + of(run), 0);
  const codes = runs.flatMap((run) => run.codes);
  return [
    line(
      `requests lost ${over}`,
      "requests",
      sum(({ requests }) => total(requests.lost)),
      "= 0",
    ),
    line(
      `jobs lost ${over}`,
      "jobs",
      sum(({ jobs }) => total(jobs.lost)),
      "= 0",
    ),
    line(
      `calls of gRPC lost ${over}`,
      "calls",
      sum(({ calls }) => total(calls.lost)),
      "= 0",
    ),
    line(
      `sockets replaced ${over}`,
      "sockets",
      sum(({ jobs }) => jobs.reconnects),
      `>= ${runs.length}`,
    ),
    line("lost when it is SIGKILL: a loss would be seen", "requests, jobs, calls", lostIn(control), ">= 1"),
    line("runs with an exit later than delay, drain and 200 ms", "runs", runs.filter(isLate).length, "= 0"),
    line("exits with another code than 0", "exits", codes.filter((code) => code !== 0).length, "= 0"),
    line("second signal to exit, longest", "ms", round(Math.max(...secondSignalMs)), "<= 100"),
  ];
}

const isLate = ({ exitsMs, allowedMs }: Rolled): boolean => Math.max(...exitsMs) > allowedMs;

/** Judges shutdowns whose cleanup never ends. */
export function hangingRows(all: readonly Hung[]): Row[] {
  return all.flatMap(({ what, exitMs, code, named, secondSignalMs }) => [
    // The timer of 25 s begins when the signal is heard; the process takes a moment to go.
    line(`${what}: exit after SIGTERM (code ${code})`, "ms", round(exitMs), "<= 25100"),
    line(`${what}: culprit not named`, "times", named ? 0 : 1, "= 0"),
    line(`${what}: second signal to exit`, "ms", round(secondSignalMs), "<= 100"),
  ]);
}
