import { HealthTracker, type HealthStatus, type Manager } from "@steward/core";
import { Load } from "./load.ts";
import { startFaultProxy, type FaultProxy } from "./proxy.ts";

/** What can happen to a server, as a fault proxy does it. */
export const FAULTS: Readonly<Record<"killed" | "frozen" | "refused" | "half-open", (proxy: FaultProxy) => unknown>> = {
  /** Its connections break, and new ones are refused. */
  killed: async (proxy) => {
    await proxy.refuse();
    proxy.reset();
  },
  /** It accepts connections and never says a word. */
  frozen: (proxy) => proxy.blackhole(),
  /** New connections are refused, and the present ones are silent. */
  refused: async (proxy) => {
    proxy.halfOpen();
    await proxy.refuse();
  },
  /** The present connections are silent, and new ones work. */
  "half-open": (proxy) => proxy.halfOpen(),
};

/** How an outage under load was seen, in ms without what the machine took. */
export interface Detected {
  /** From the fault until real calls alone made it unhealthy; `Infinity` where they did not. */
  readonly unhealthyMs: number;
  /** From the fault until a call that began after it succeeded; `Infinity` where none did before the cure. */
  readonly healedMs: number;
  /** From the cure until it was healthy and stayed so. */
  readonly healthyAgainMs: number;
  /** The longest of the calls that began while it was unhealthy and were refused. */
  readonly slowestRefusalMs: number;
  /** Of the calls that began while it was unhealthy, the share that succeeded or were refused within 50 ms: none waits for nothing. */
  readonly quickRatio: number;
  /** How the calls ended. */
  readonly outcomes: Readonly<Record<string, number>>;
}

/** What drivers promise with default options, in ms: to notice, to be well again after the cure, and to refuse meanwhile. */
const PROMISED = { noticedMs: 2_000, healthyAgainMs: 3_000, refusalMs: 50, quickRatio: 0.95 };

/** What of that an outage did not show, a sentence each; empty when all was kept. */
export function brokenPromises(seen: Detected): string[] {
  const { unhealthyMs, healedMs, healthyAgainMs, slowestRefusalMs, quickRatio } = seen;
  const broken: string[] = [];
  if (Math.min(unhealthyMs, healedMs) > PROMISED.noticedMs)
    broken.push(`unhealthy after ${unhealthyMs} ms, healed after ${healedMs} ms`);
  if (healthyAgainMs > PROMISED.healthyAgainMs) broken.push(`healthy again ${healthyAgainMs} ms after the cure`);
  if (slowestRefusalMs > PROMISED.refusalMs) broken.push(`a call was refused only after ${slowestRefusalMs} ms`);
  if (quickRatio < PROMISED.quickRatio)
    broken.push(`only ${quickRatio * 100} % of the calls did not wait for nothing while it was unhealthy`);
  return broken;
}

/** A manager under a load, and how to make its calls. */
export interface Subject<M extends Manager<unknown>> {
  readonly manager: M;
  readonly call: () => PromiseLike<unknown>;
}

const RATE = 50;
const WARM_MS = 3_000;
const OUTAGE_MS = 3_500;
const LOOK_EVERY_MS = 20;
const QUICK_MS = 50;
/** Refusals between the fault and the opening have their own deadlines; those of an open circuit come at once. */
const REFUSALS: ReadonlySet<string | undefined> = new Set([
  "CIRCUIT_OPEN",
  "RESOURCE_UNAVAILABLE",
  "WEBSOCKET_DISCONNECTED",
  "14",
]);

/**
 * Puts a server behind a proxy, calls it 50 times a second, lets a fault happen for 3.5 s, and says when the evidence
 * of those calls (no probe) made it unhealthy and healthy again.
 *
 * @param target The server: its URL, or host and port.
 * @param start Starts a manager that connects to the proxy.
 */
export async function detect<M extends Manager<unknown>>(
  target: Parameters<typeof startFaultProxy>[0]["target"],
  start: (proxy: FaultProxy) => Promise<Subject<M>>,
  fault: (proxy: FaultProxy) => unknown,
): Promise<Detected> {
  const proxy = await startFaultProxy({ target });
  const { manager, call } = await start(proxy);
  const seen: Change[] = [];
  const tracker = new HealthTracker(performance.now(), { flapThreshold: 1_000 });
  tracker.started(performance.now());
  const look = (): void => {
    const now = performance.now();
    if (tracker.observed(now, manager.passive)) seen.push({ at: now, status: tracker.health.status });
  };
  const unlisten = manager.listen(look);
  const looking = setInterval(look, LOOK_EVERY_MS);
  const load = await Load.begin(RATE, call);
  try {
    await load.run(WARM_MS);
    const at = performance.now();
    await fault(proxy);
    await load.run(OUTAGE_MS);
    const curedAt = performance.now();
    await proxy.heal();
    await load.run(4_000);
    await load.end();
    return detected(load, seen, at, curedAt);
  } finally {
    clearInterval(looking);
    unlisten();
    await manager.stop().catch(() => {});
    await proxy.stop();
  }
}

/** The health from an instant on. */
interface Change {
  readonly at: number;
  readonly status: HealthStatus;
}

function detected({ watch, samples, outcomes }: Load, seen: readonly Change[], at: number, curedAt: number): Detected {
  const since = (instant: number, from: number): number =>
    Number.isFinite(instant) ? Math.max(0, watch.elapsed(from, instant)) : instant;
  const unhealthyAt = seen.find((one) => one.at >= at && one.status === "unhealthy")?.at ?? Number.POSITIVE_INFINITY;
  const healed = samples.filter(({ began, ended, error }) => began > at && ended < curedAt && error === undefined);
  const last = seen.at(-1);
  const backAt = seen.find((one) => one.at > unhealthyAt && one.status === "healthy")?.at ?? curedAt;
  const open = samples.filter(({ began }) => began > unhealthyAt && began < Math.min(backAt, curedAt));
  const slow = open.filter(({ began, ended, error }) => error !== undefined && watch.elapsed(began, ended) > QUICK_MS);
  const refused = open.filter(({ code }) => REFUSALS.has(code));
  return {
    unhealthyMs: since(unhealthyAt, at),
    healedMs: since(Math.min(...healed.map(({ ended }) => ended)), at),
    healthyAgainMs:
      last === undefined ? 0 : last.status === "healthy" ? since(last.at, curedAt) : Number.POSITIVE_INFINITY,
    slowestRefusalMs: Math.max(0, ...refused.map(({ began, ended }) => watch.elapsed(began, ended))),
    quickRatio: open.length === 0 ? 1 : 1 - slow.length / open.length,
    outcomes,
  };
}
