import type { HealthStatus } from "@steward/core";
import { HealthTracker } from "@steward/core/container";
import type { Manager } from "@steward/core/driver";
import { Load } from "./load.ts";
import { startFaultProxy, type FaultProxy } from "./proxy/proxy.ts";
import { sleep } from "./waits.ts";

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
  /** Calls that began while it was unhealthy and were refused only after an alarm of 50 ms that was set with them. */
  readonly lateRefusals: number;
  /** Of the calls that began while it was unhealthy, the share that succeeded or failed before such an alarm: none waits for nothing. */
  readonly quickRatio: number;
  /** How the calls ended. */
  readonly outcomes: Readonly<Record<string, number>>;
}

/** What drivers promise with default options, in ms: to notice, and to be well again after the cure. */
export const PROMISED = { noticedMs: 2_000, healthyAgainMs: 3_000, quickRatio: 0.95 } as const;

/** For tests, which run beside other work; the promises themselves are judged by `npm run chaos detection`. */
export const LEEWAY = 4;

/**
 * What of that an outage did not show, a sentence each; empty when all was kept.
 *
 * @param leeway How many times the promised ms, and calls that wait, there may be. Default 1. A machine that does other work
 *   slows servers down, too; a multiple still shows a driver that does not notice.
 */
export function brokenPromises(seen: Detected, leeway = 1): string[] {
  const { unhealthyMs, healedMs, healthyAgainMs, quickRatio } = seen;
  const broken: string[] = [];
  if (Math.min(unhealthyMs, healedMs) > PROMISED.noticedMs * leeway)
    broken.push(`unhealthy after ${unhealthyMs} ms, healed after ${healedMs} ms`);
  if (healthyAgainMs > PROMISED.healthyAgainMs * leeway)
    broken.push(`healthy again ${healthyAgainMs} ms after the cure`);
  if (1 - quickRatio > (1 - PROMISED.quickRatio) * leeway)
    broken.push(`only ${quickRatio * 100} % of the calls did not wait for nothing while it was unhealthy`);
  return broken;
}

/** A manager under a load, and how to make its calls. */
export interface Subject<M extends Manager<unknown>> {
  readonly manager: M;
  readonly call: () => PromiseLike<unknown>;
}

/** How long each part of an outage lasts, in ms. */
export interface OutageSpan {
  /** Calls before the fault, for a history. */
  readonly warmMs: number;
  /** From when it was noticed until the cure. */
  readonly outMs: number;
  /** How soon after it was unhealthy calls have to end at once: there are those under way that open the circuit. */
  readonly openMs: number;
  /** From when it was healthy again until the end: whether it stays so. */
  readonly afterMs: number;
}

const SHORT: OutageSpan = { warmMs: 1_000, outMs: 2_500, openMs: 1_500, afterMs: 500 };
const RATE = 50;
/** What has not happened after this does not happen. */
const PATIENCE_MS = 15_000;
const LOOK_EVERY_MS = 20;
const END_MS = 500;
const QUICK_MS = 50;
/** Refusals between the fault and the opening have their own deadlines; those of an open circuit come at once. */
const REFUSALS: ReadonlySet<string | undefined> = new Set([
  "CIRCUIT_OPEN",
  "RESOURCE_UNAVAILABLE",
  "WEBSOCKET_DISCONNECTED",
  "14",
]);

/** All faults at once, each with a proxy and a manager of its own before the one server: see {@link detect}. */
export async function detectAll<M extends Manager<unknown>>(
  target: Parameters<typeof startFaultProxy>[0]["target"],
  start: (proxy: FaultProxy) => Promise<Subject<M>>,
): Promise<Readonly<Record<keyof typeof FAULTS, Detected>>> {
  const one = (fault: (proxy: FaultProxy) => unknown): Promise<Detected> => detect(target, start, fault);
  const [killed, frozen, refused, halfOpen] = await Promise.all([
    one(FAULTS.killed),
    one(FAULTS.frozen),
    one(FAULTS.refused),
    one(FAULTS["half-open"]),
  ]);
  return { killed, frozen, refused, "half-open": halfOpen };
}

/**
 * Puts a server behind a proxy, calls it 50 times a second, lets a fault happen until it was noticed and a while
 * longer, and says when the evidence of those calls (no probe) made it unhealthy and healthy again.
 *
 * @param target The server: its URL, or host and port.
 * @param start Starts a manager that connects to the proxy.
 */
export async function detect<M extends Manager<unknown>>(
  target: Parameters<typeof startFaultProxy>[0]["target"],
  start: (proxy: FaultProxy) => Promise<Subject<M>>,
  fault: (proxy: FaultProxy) => unknown,
  span: OutageSpan = SHORT,
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
  const load = await Load.begin(RATE, call, QUICK_MS);
  try {
    await load.run(span.warmMs);
    const at = performance.now();
    await fault(proxy);
    const isHealed = (): boolean => load.samples.some(({ began, error }) => began > at && error === undefined);
    await patiently(() => tracker.health.status === "unhealthy" || isHealed());
    await load.run(span.outMs);
    const curedAt = performance.now();
    await proxy.heal();
    await patiently(() => (seen.at(-1)?.status ?? "healthy") === "healthy");
    await load.run(span.afterMs);
    const until = [...seen];
    await load.end(END_MS);
    // What hangs still is ended by the stop, and counts as a call that waited for nothing.
    await manager.stop({ signal: AbortSignal.timeout(END_MS) }).catch(() => {});
    await load.end();
    return detected(load, until, at, curedAt, span.openMs);
  } finally {
    clearInterval(looking);
    unlisten();
    await manager.stop().catch(() => {});
    await proxy.stop();
  }
}

async function patiently(condition: () => boolean): Promise<void> {
  for (const since = performance.now(); !condition() && performance.now() - since < PATIENCE_MS;)
    await sleep(LOOK_EVERY_MS);
}

/** The health from an instant on. */
interface Change {
  readonly at: number;
  readonly status: HealthStatus;
}

function detected(
  { watch, samples, outcomes }: Load,
  seen: readonly Change[],
  at: number,
  curedAt: number,
  openMs: number,
): Detected {
  const since = (instant: number, from: number): number =>
    Number.isFinite(instant) ? Math.max(0, watch.elapsed(from, instant)) : instant;
  const unhealthyAt = seen.find((one) => one.at >= at && one.status === "unhealthy")?.at ?? Number.POSITIVE_INFINITY;
  const healed = samples.filter(({ began, ended, error }) => began > at && ended < curedAt && error === undefined);
  const last = seen.at(-1);
  const backAt = seen.find((one) => one.at > unhealthyAt && one.status === "healthy")?.at ?? curedAt;
  const open = samples.filter(({ began }) => began > unhealthyAt + openMs && began < Math.min(backAt, curedAt));
  const slow = open.filter(({ isLate, error }) => isLate && error !== undefined);
  return {
    unhealthyMs: since(unhealthyAt, at),
    healedMs: since(Math.min(...healed.map(({ ended }) => ended)), at),
    healthyAgainMs:
      last === undefined ? 0 : last.status === "healthy" ? since(last.at, curedAt) : Number.POSITIVE_INFINITY,
    lateRefusals: slow.filter(({ code }) => REFUSALS.has(code)).length,
    quickRatio: open.length === 0 ? 1 : 1 - slow.length / open.length,
    outcomes,
  };
}
