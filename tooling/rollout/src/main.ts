// npm run chaos: rolling restarts of Clips under load, and shutdowns that hang. --runs=10
import { endHanging, type Hung } from "./hanging.ts";
import { lostIn, rollOut, type Rolled, type Rollout } from "./rolling.ts";

interface Verdict {
  readonly what: string;
  readonly measured: number;
  readonly wanted: string;
  readonly met: boolean;
}

function table(title: string, columns: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  console.log([`\n${title}`, line(columns), line(columns.map(() => "---")), ...rows.map(line)].join("\n"));
}

const round = Math.round;

type Lost = ReadonlyMap<string, number>;

const words = (lost: Lost): string => [...lost].map(([why, count]) => `${count} ${why}`).join("; ") || "-";
const total = (lost: Lost): number => [...lost.values()].reduce((sum, count) => sum + count, 0);

function rowOf(
  name: string | number,
  { requests, jobs, calls, exitsMs, allowedMs, codes }: Rolled,
): (string | number)[] {
  return [
    name,
    `${requests.sent} (${requests.slow} slow)`,
    total(requests.lost),
    jobs.jobs,
    jobs.pushes,
    jobs.reconnects,
    total(jobs.lost),
    calls.calls,
    total(calls.lost),
    words(new Map([...requests.lost, ...jobs.lost, ...calls.lost])),
    exitsMs.map(round).join(", "),
    round(allowedMs),
    codes.join(", "),
  ];
}

const COLUMNS = [
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
  "exits of Clips after SIGTERM, ms",
  "allowed, ms",
  "exit codes",
];

function showRollout(rollout: Rollout): Verdict[] {
  const { balancer, runs, control } = rollout;
  table(
    `Rolling restart of three replicas of Clips and three renderers behind ${balancer}; 100 requests/s, 2 % of them take 1.5 s; 3 jobs/s that 10 WebSockets follow; 50 calls of gRPC/s; production defaults`,
    COLUMNS,
    [...runs.map((run, i) => rowOf(i + 1, run)), rowOf("control: SIGKILL", control)],
  );
  return verdictsOn(rollout);
}

function verdictsOn({ runs, control, secondSignalMs }: Rollout): Verdict[] {
  const sumOf = (count: (run: Rolled) => number): number => runs.reduce((sum, run) => sum + count(run), 0);
  const late = runs.filter(({ exitsMs, allowedMs }) => Math.max(...exitsMs) > allowedMs).length;
  const unclean = runs.flatMap(({ codes }) => codes).filter((code) => code !== 0).length;
  const [killed, worst] = [lostIn(control), Math.max(...secondSignalMs)];
  return [
    none(
      `requests lost in ${runs.length} rolling restarts`,
      sumOf((run) => total(run.requests.lost)),
    ),
    none(
      "jobs whose progress was not told to its end",
      sumOf((run) => total(run.jobs.lost)),
    ),
    none(
      "calls of gRPC lost",
      sumOf((run) => total(run.calls.lost)),
    ),
    { what: "lost by SIGKILL, so that a loss is seen", measured: killed, wanted: ">= 1", met: killed > 0 },
    none("exits later than delay + longest request or spread + 200 ms", late),
    none("exits with another code than 0", unclean),
    {
      what: "Clips: from the second signal to the exit, ms",
      measured: round(worst),
      wanted: "<= 100",
      met: worst <= 100,
    },
  ];
}

function none(what: string, measured: number): Verdict {
  return { what, measured, wanted: "= 0", met: measured === 0 };
}

function showHanging(all: readonly Hung[]): Verdict[] {
  table(
    "A cleanup that never ends, production defaults (5 s delay, 25 s in all)",
    ["what", "exit after SIGTERM, ms", "code", "culprit named", "exit after a second signal, ms"],
    all.map(({ what, exitMs, code, named, secondSignalMs }) => [
      what,
      round(exitMs),
      String(code),
      named ? "yes" : "NO",
      round(secondSignalMs),
    ]),
  );
  const [exit, second] = [Math.max(...all.map((one) => one.exitMs)), Math.max(...all.map((one) => one.secondSignalMs))];
  return [
    // The timer of 25 s begins when the signal is heard; the process takes a moment to go.
    { what: "cleanup that never ends: exit, ms", measured: round(exit), wanted: "<= 25,100", met: exit <= 25_100 },
    {
      what: "cleanup that never ends: culprit not named",
      measured: all.filter(({ named }) => !named).length,
      wanted: "= 0",
      met: all.every(({ named }) => named),
    },
    {
      what: "cleanup that never ends: second signal to exit, ms",
      measured: round(second),
      wanted: "<= 100",
      met: second <= 100,
    },
  ];
}

const [app = ""] = process.argv.slice(2);
const runs = Number(process.argv.find((arg) => arg.startsWith("--runs="))?.slice("--runs=".length) ?? 10);
const rollout = await rollOut(app, runs, (what) => console.error(`  ${what}`));
const verdicts = [...showRollout(rollout), ...showHanging(await endHanging())];
table(
  "Targets",
  ["what", "measured", "target", ""],
  verdicts.map(({ what, measured, wanted, met }) => [what, measured, wanted, met ? "met" : "MISSED"]),
);
process.exitCode = verdicts.every(({ met }) => met) ? 0 : 1;
