import { getActiveResourcesInfo } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { startFaultProxy, trackHandles, type FaultProxy } from "@steward/testing";
import { DRIVERS, TIMEOUT_MS, type Backend, type Client, type DriverName } from "../drivers/driver.ts";
import { launchBackend } from "../drivers/launch.ts";
import { SOAK_FAULTS } from "./faults.ts";
import { flatness, type SoakReport, type SoakSample } from "./report.ts";
import { Traffic } from "./traffic.ts";

/** What the machine may add to a deadline, in ms: others work on it, too. */
const LATE_MS = TIMEOUT_MS + 500;
const RATE = 200;
const CALM_MS = 4_000;
const FAULTS_BETWEEN_SAMPLES = 6;

interface Line {
  readonly driver: DriverName;
  readonly backend: Backend;
  readonly proxy: FaultProxy;
  readonly client: Client;
  readonly traffic: Traffic;
}

/** Lets random faults loose on all drivers at once, and looks at heap and handles in the calm between them. */
export async function soak(minutes: number, say: (what: string) => void): Promise<SoakReport> {
  const handles = trackHandles();
  const lines = await Promise.all(DRIVERS.map(open));
  const until = performance.now() + minutes * 60_000;
  const faults = new Map<string, number>();
  const samples: SoakSample[] = [];
  await sleep(CALM_MS);
  while (performance.now() < until) {
    await Promise.all(lines.map((line) => troubles(line, faults)));
    // The proxy's own dead connections would count as handles of this process.
    for (const { proxy } of lines) proxy.reset();
    await sleep(CALM_MS);
    samples.push(await look());
    say(saying(samples, lines));
  }
  const lastCalm = await calm(lines);
  for (const { traffic } of lines) traffic.stop();
  await sleep(2 * TIMEOUT_MS);
  const counts = Object.fromEntries(lines.map(({ driver, traffic }) => [driver, traffic.counts]));
  const stats = Object.fromEntries(lines.map(({ driver, client }) => [driver, client.stats()]));
  await Promise.all(lines.map(close));
  await handles.assertNoLeaks(10_000).catch(() => undefined); // reported below
  const found = { ...flatness(samples), lastCalm, counts, stats, left: handles.leaked(), samples };
  return { minutes, faults: Object.fromEntries(faults), ...found };
}

async function open(driver: DriverName): Promise<Line> {
  const backend = await launchBackend(driver);
  const proxy = await startFaultProxy({ target: backend.url ?? "" });
  const client = await backend.connect("ours", proxy.url, {});
  return { driver, backend, proxy, client, traffic: new Traffic(client, RATE, LATE_MS) };
}

/** The share of calls that succeed when nothing has been broken for a while, of the driver that does worst. */
async function calm(lines: readonly Line[]): Promise<number> {
  await sleep(CALM_MS);
  const before = lines.map(({ traffic }) => traffic.counts);
  await sleep(CALM_MS);
  const shares = lines.map(({ traffic }, i) => {
    const { succeeded, failed } = traffic.counts;
    const [good, bad] = [succeeded - (before[i]?.succeeded ?? 0), failed - (before[i]?.failed ?? 0)];
    return good / Math.max(1, good + bad);
  });
  return Math.min(...shares);
}

async function close({ client, proxy, backend }: Line): Promise<void> {
  await client.close();
  await proxy.stop();
  await backend.stop();
}

async function troubles({ driver, proxy, backend }: Line, faults: Map<string, number>): Promise<void> {
  const names = Object.keys(SOAK_FAULTS);
  for (let i = 0; i < FAULTS_BETWEEN_SAMPLES; i++) {
    const name = names[Math.floor(Math.random() * names.length)] ?? "";
    const key = `${driver}: ${name}`;
    faults.set(key, (faults.get(key) ?? 0) + 1);
    await SOAK_FAULTS[name]?.(proxy, backend, 200 + Math.random() * 3_000);
    await sleep(Math.random() * 1_500);
  }
}

async function look(): Promise<SoakSample> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await sleep(50);
  }
  const kinds: Record<string, number> = {};
  for (const kind of getActiveResourcesInfo()) kinds[kind] = (kinds[kind] ?? 0) + 1;
  const handles = Object.entries(kinds).filter(([kind]) => /TCP|Pipe|Process/.test(kind));
  return {
    atMs: Math.round(performance.now()),
    heapBytes: process.memoryUsage().heapUsed,
    rssBytes: process.memoryUsage().rss,
    handles: handles.reduce((sum, [, count]) => sum + count, 0),
    kinds,
  };
}

function saying(samples: readonly SoakSample[], lines: readonly Line[]): string {
  const last = samples.at(-1);
  const open = lines.map(({ driver, traffic }) => `${driver} ${traffic.counts.open} open, ${traffic.counts.late} late`);
  return `${Math.round((last?.atMs ?? 0) / 1_000)} s: heap ${mb(last?.heapBytes)} MB, ${last?.handles} handles; ${open.join("; ")}`;
}

function mb(bytes = 0): string {
  return (bytes / 1e6).toFixed(2);
}
