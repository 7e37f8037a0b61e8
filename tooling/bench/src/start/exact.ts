// What needs no clock of the machine: virtual time, and counts over many graphs.
import { StartError } from "@steward/container";
import { type BarText, type Row, row } from "@steward/harness";
import { FakeClock } from "@steward/testing";
import { containerOf } from "./arms/steward.ts";
import { idealMs, leveled, randomGraph, SLOW_NODE, type LifeGraph } from "./graph.ts";
import { Recorder, type Pause } from "./recorder.ts";

const GRAPHS = 200;

const exact = (work: string, ours: number, bar: BarText, unit: string): Row =>
  row({ area: "start", work, unit, ours, bar });

/** All exact rows of the area. */
export async function exactRows(): Promise<Row[]> {
  return [...(await virtualRows()), ...(await randomRows()), ...(await stubbornRows())];
}

/** Start and stop in virtual time: exactly as long as the longest chain. */
async function virtualRows(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [name, graph] of [
    ["50 resources", leveled()],
    ["one of them of 60 ms", leveled({ slow: SLOW_NODE })],
  ] as const) {
    const { startMs, stopMs } = await virtually(graph);
    const [up, down] = [idealMs(graph, (node) => node.startMs), idealStopMs(graph)];
    rows.push(exact(`start, ${name}: the longest chain`, startMs, `= ${up}`, "virtual ms"));
    rows.push(exact(`stop, ${name}: the longest chain`, stopMs, `= ${down}`, "virtual ms"));
  }
  return rows;
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

/** Order, leaks and what is in flight when a start rejects, over random graphs of which half fail. */
async function randomRows(): Promise<Row[]> {
  const faults = { order: 0, leaks: 0, inFlight: 0, repeated: 0, failed: 0 };
  for (let seed = 0; seed < GRAPHS; seed++) {
    const { recorder, failed } = await oneGraph(seed);
    faults.failed += failed ? 1 : 0;
    faults.inFlight += recorder.inFlight;
    faults.order += recorder.startViolations + recorder.stopViolations;
    faults.leaks += recorder.up;
    faults.repeated += recorder.repeated + recorder.neverStarted;
  }
  const over = `over ${GRAPHS} random graphs`;
  return [
    exact(`order violations ${over}`, faults.order, "= 0", "edges"),
    exact(`leaks ${over}`, faults.leaks, "= 0", "resources"),
    exact(`in flight when the start rejects, ${over}`, faults.inFlight, "= 0", "resources"),
    exact(`started or stopped twice, or stopped without a start, ${over}`, faults.repeated, "= 0", "resources"),
    // So that the counts cannot be 0 because nothing failed.
    exact(`starts that failed, ${over}`, faults.failed, `= ${GRAPHS / 2}`, "starts"),
  ];
}

async function oneGraph(seed: number): Promise<{ readonly recorder: Recorder; readonly failed: boolean }> {
  const clock = new FakeClock();
  // In every third graph the nodes ignore their signal, but end within the grace that they have.
  const pause: Pause = (ms, signal) => clock.sleep(ms, seed % 3 === 0 ? undefined : signal);
  const recorder = new Recorder(randomGraph(seed), pause);
  try {
    const running = await clock.runUntil(containerOf(recorder, { clock }).start());
    await clock.runUntil(running.stop());
    return { recorder, failed: false };
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    return { recorder, failed: true };
  }
}

/** A start that ignores its signal for an hour, next to one that fails: named at once, stopped when it arrives. */
async function stubbornRows(): Promise<Row[]> {
  const clock = new FakeClock();
  const node = { level: 0, needs: [0], startMs: 10, stopMs: 10, fails: false };
  const graph: LifeGraph = [
    { ...node, index: 0, name: "below", needs: [] },
    { ...node, index: 1, name: "failing", fails: true },
    { ...node, index: 2, name: "stubborn", startMs: 3_600_000 },
  ];
  const recorder = new Recorder(graph, (ms) => clock.sleep(ms));
  const starting = containerOf(recorder, { clock }).start();
  const error: unknown = await clock.runUntil(starting.catch((e: unknown) => e));
  const named = error instanceof StartError && error.stillStarting.join() === "stubborn";
  const [inFlight, afterMs] = [recorder.inFlight, clock.now()];
  await clock.advance(3_700_000);
  const what = "a start that ignores its signal for an hour";
  return [
    exact(`${what}: in flight, and named by the error`, named ? inFlight : NaN, "= 1", "resources"),
    exact(`${what}: its error came after`, afterMs, "<= 15000", "virtual ms"),
    exact(`${what}: still up in the end`, recorder.up, "= 0", "resources"),
    exact(`${what}: what it needs stopped before it`, recorder.startViolations, "= 0", "edges"),
  ];
}
