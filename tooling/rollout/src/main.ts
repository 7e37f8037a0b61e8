// npm run chaos: rolling restarts of Clips under load, and shutdowns that hang. --runs=10
import { endHanging, type Hung } from "./hanging.ts";
import { rollOut, type Rollout } from "./rolling.ts";

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
const sum = (numbers: Iterable<number>): number => [...numbers].reduce((a, b) => a + b, 0);

function showRollout({ balancer, runs, control, secondSignalMs }: Rollout): Verdict[] {
  table(
    `Rolling restart of three replicas of Clips behind ${balancer}; 100 requests/s, 2 % of them take 1.5 s; production defaults`,
    ["run", "requests", "of them slow", "lost", "how", "exits after SIGTERM, ms", "allowed, ms", "exit codes"],
    [...runs, control].map(({ sent, slow, lost, exitsMs, allowedMs, codes }, i) => [
      i < runs.length ? i + 1 : "control: SIGKILL",
      sent,
      slow,
      sum(lost.values()),
      [...lost].map(([why, count]) => `${count} ${why}`).join(", ") || "-",
      exitsMs.map(round).join(", "),
      round(allowedMs),
      codes.join(", "),
    ]),
  );
  const late = runs.filter(({ exitsMs, allowedMs }) => Math.max(...exitsMs) > allowedMs).length;
  const worst = Math.max(...secondSignalMs);
  return [
    {
      what: `requests lost in ${runs.length} rolling restarts`,
      measured: sum(runs.flatMap(({ lost }) => [...lost.values()])),
      wanted: "= 0",
      met: runs.every(({ lost }) => lost.size === 0),
    },
    {
      what: "the same by SIGKILL, so that a loss is seen",
      measured: sum(control.lost.values()),
      wanted: ">= 1",
      met: control.lost.size > 0,
    },
    { what: "exits later than delay + longest request + 200 ms", measured: late, wanted: "= 0", met: late === 0 },
    {
      what: "exits with another code than 0",
      measured: runs.flatMap(({ codes }) => codes).filter((code) => code !== 0).length,
      wanted: "= 0",
      met: runs.every(({ codes }) => codes.every((code) => code === 0)),
    },
    {
      what: "Clips: from the second signal to the exit, ms",
      measured: round(worst),
      wanted: "<= 100",
      met: worst <= 100,
    },
  ];
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
