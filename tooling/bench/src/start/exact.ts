// What needs no clock of the machine: virtual time, and counts over many graphs.
import { StartError } from "@steward/container";
import { FakeClock } from "@steward/testing";
import { exactly, type Target } from "../harness/report.ts";
import { containerOf } from "./contenders/steward.ts";
import { idealMs, leveled, randomGraph, SLOW_NODE, type LifeGraph } from "./graph.ts";
import { Recorder, type Pause } from "./recorder.ts";

const GRAPHS = 200;

/** Start and stop in virtual time: exactly as long as the longest chain. */
export async function virtualTargets(): Promise<Target[]> {
  const graphs: readonly (readonly [string, LifeGraph])[] = [
    ["flat", leveled()],
    ["one of 60 ms", leveled({ slow: SLOW_NODE })],
  ];
  const targets: Target[] = [];
  for (const [name, graph] of graphs) {
    const { startMs, stopMs } = await virtually(graph);
    targets.push(
      exactly(
        `start, virtual time, ${name}`,
        startMs,
        "=",
        idealMs(graph, (node) => node.startMs),
        "ms",
      ),
    );
    targets.push(exactly(`stop, virtual time, ${name}`, stopMs, "=", idealStopMs(graph), "ms"));
  }
  return targets;
}

async function virtually(graph: LifeGraph): Promise<{ startMs: number; stopMs: number }> {
  const clock = new FakeClock();
  const recorder = new Recorder(graph, (ms, signal) => clock.sleep(ms, signal));
  const running = await clock.runUntil(containerOf(recorder, { clock }).start());
  const startMs = clock.now();
  await clock.runUntil(running.stop());
  return { startMs, stopMs: clock.now() - startMs };
}

/** The longest chain from above. */
function idealStopMs(graph: LifeGraph): number {
  const until: number[] = graph.map(() => 0);
  for (const node of [...graph].reverse()) {
    const above = graph.filter(({ needs }) => needs.includes(node.index)).map(({ index }) => until[index] ?? 0);
    until[node.index] = Math.max(0, ...above) + node.stopMs;
  }
  return Math.max(...until);
}

/** What must never happen, added up over all graphs. */
interface Faults {
  violations: number;
  leaks: number;
  inFlight: number;
  repeated: number;
  failed: number;
}

/** Order, leaks and what is in flight when a start rejects, over random graphs of which half fail. */
export async function randomTargets(): Promise<Target[]> {
  const faults: Faults = { violations: 0, leaks: 0, inFlight: 0, repeated: 0, failed: 0 };
  for (let seed = 0; seed < GRAPHS; seed++) await runOnce(randomGraph(seed), seed, faults);
  const over = `over ${GRAPHS} random graphs`;
  return [
    exactly(`order violations ${over}`, faults.violations, "=", 0, "edges"),
    exactly(`leaks ${over}`, faults.leaks, "=", 0, "nodes"),
    exactly("in flight when start rejects", faults.inFlight, "=", 0, "nodes"),
    exactly(`started or stopped twice, or never started but stopped, ${over}`, faults.repeated, "=", 0, "nodes"),
    exactly("of these graphs, starts that failed", faults.failed, "=", GRAPHS / 2, "starts"),
    ...(await stubbornTargets()),
  ];
}

async function runOnce(graph: LifeGraph, seed: number, faults: Faults): Promise<void> {
  const clock = new FakeClock();
  // In every third graph the nodes ignore their signal, but end within the grace that they have.
  const pause: Pause = (ms, signal) => clock.sleep(ms, seed % 3 === 0 ? undefined : signal);
  const recorder = new Recorder(graph, pause);
  try {
    const running = await clock.runUntil(containerOf(recorder, { clock }).start());
    await clock.runUntil(running.stop());
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    faults.failed++;
  }
  faults.inFlight += recorder.inFlight;
  faults.violations += recorder.startViolations + recorder.stopViolations;
  faults.leaks += recorder.up;
  faults.repeated += recorder.repeated + recorder.neverStarted;
}

/** A start that ignores its signal for an hour, next to one that fails: named at once, stopped when it arrives. */
async function stubbornTargets(): Promise<Target[]> {
  const clock = new FakeClock();
  const [failing, stubborn, below] = [1, 2, 0];
  const node = { level: 0, needs: [below], startMs: 10, stopMs: 10, fails: false };
  const graph: LifeGraph = [
    { ...node, index: below, name: "below", needs: [] },
    { ...node, index: failing, name: "failing", fails: true },
    { ...node, index: stubborn, name: "stubborn", startMs: 3_600_000 },
  ];
  const recorder = new Recorder(graph, (ms) => clock.sleep(ms));
  const error: unknown = await clock.runUntil(
    containerOf(recorder, { clock })
      .start()
      .catch((e: unknown) => e),
  );
  const named =
    error instanceof StartError && error.stillStarting.join() === "stubborn" && error.message.includes("stubborn");
  const [inFlight, rejectedAfterMs] = [recorder.inFlight, clock.now()];
  await clock.advance(3_700_000);
  return [
    exactly(
      "a start that ignores its signal: in flight, and named by the error",
      named ? inFlight : NaN,
      "=",
      1,
      "nodes",
    ),
    exactly("... its error came within", rejectedAfterMs, "<=", 15_000, "virtual ms"),
    exactly("... still up an hour later", recorder.up, "=", 0, "nodes"),
    exactly("... order violations (what it needs must outlive it)", recorder.startViolations, "=", 0, "edges"),
  ];
}
