import { type BarText, type Row, row, type Table } from "@steward/harness";
import { total } from "../rate.ts";
import type { Hung } from "./hanging.ts";
import type { Killings } from "./killings.ts";
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
    title: `Rolling restarts behind ${balancer}: 110 requests/s (2 % take 1.5 s), 3 jobs/s that 10 WebSockets follow, 50 calls of gRPC/s`,
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
export function rolloutRows({ runs, control, secondSignalMs, jitterMs }: Rollout): Row[] {
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
      `requests sent ${over}`,
      "requests",
      sum(({ requests }) => requests.sent),
      ">= 1",
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
    line("runs with an exit later than delay, drain, 200 ms and jitter", "runs", runs.filter(isLate).length, "= 0"),
    line("exits with another code than 0", "exits", codes.filter((code) => code !== 0).length, "= 0"),
    within("second signal to exit, longest", Math.max(...secondSignalMs), 100, jitterMs),
  ];
}

/** Bounds on time hold but for what the machine adds, which was measured in the same run. */
function within(work: string, ours: number, boundMs: number, jitterMs: number): Row {
  const jitter = Math.ceil(jitterMs);
  return line(`${work} (${boundMs} ms + ${jitter} ms of jitter)`, "ms", round(ours), `<= ${boundMs + jitter}`);
}

const isLate = ({ exitsMs, allowedMs }: Rolled): boolean => Math.max(...exitsMs) > allowedMs;

/** Judges shutdowns whose cleanup never ends. */
export function hangingRows(all: readonly Hung[]): Row[] {
  return all.flatMap(({ what, exitMs, code, named, secondSignalMs, jitterMs }) => [
    // The timer of 25 s begins when the signal is heard; the process takes a moment to go.
    within(`${what}: exit after SIGTERM with code ${code}`, exitMs, 25_100, jitterMs),
    line(`${what}: culprit not named`, "times", named ? 0 : 1, "= 0"),
    within(`${what}: second signal to exit`, secondSignalMs, 100, jitterMs),
  ]);
}

/** Judges what kill -9 did to jobs. */
export function killingRows({ kills, acknowledged, gone, refused, jobs, undone, twice, wrong }: Killings): Row[] {
  const area = "killings";
  return [
    ...kills.map(({ victim, jobs: open, standstillMs }) =>
      row({
        area,
        work: `kill -9 of ${victim} in the middle of ${open} jobs: longest standstill`,
        unit: "s",
        ours: standstillMs / 1_000,
        bar: "<= 30",
      }),
    ),
    row({ area, work: `acknowledged writes lost, of ${acknowledged}`, unit: "writes", ours: gone, bar: "= 0" }),
    row({ area, work: "requests that were not acknowledged", unit: "requests", ours: total(refused) }),
    row({ area, work: `jobs not done, of ${jobs}`, unit: "jobs", ours: undone, bar: "= 0" }),
    row({ area, work: "jobs whose result was written twice", unit: "jobs", ours: twice, bar: "= 0" }),
    row({ area, work: "jobs whose result is not that of all steps, each once", unit: "jobs", ours: wrong, bar: "= 0" }),
  ];
}

/** Judges an upgrade and the way back. */
export function upgradeRows(from: string, [there, back]: readonly [Rolled, Rolled]): Row[] {
  const area = "upgrade";
  return [
    { work: `from ${from} to this version`, rolled: there },
    { work: `back to ${from}`, rolled: back },
  ].flatMap(({ work, rolled }) => [
    row({ area, work: `${work}: requests`, unit: "requests", ours: rolled.requests.sent }),
    row({ area, work: `${work}: requests, jobs and calls lost`, unit: "", ours: lostIn(rolled), bar: "= 0" }),
  ]);
}
