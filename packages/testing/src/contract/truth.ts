import type { Manager } from "@steward/core/driver";
import type { ContractCase, Examination } from "./examination.ts";

const CALLS = 5;
const PROBE_MS = 300;
const RECOVERY_MS = 10_000;

interface Counts {
  readonly started: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly inUse: number;
}

const NAMES = ["started", "succeeded", "failed", "inUse"];

function isCounts(stats: object): stats is Counts {
  const values = new Map<string, unknown>(Object.entries(stats));
  return NAMES.every((name) => typeof values.get(name) === "number");
}

/** Every group of call counts in the stats, however deep. */
function countsIn(stats: unknown): Counts[] {
  if (typeof stats !== "object" || stats === null) return [];
  return [...(isCounts(stats) ? [stats] : []), ...Object.values(stats).flatMap(countsIn)];
}

async function recovers(examine: Examination, manager: Manager<unknown>): Promise<boolean> {
  const until = performance.now() + RECOVERY_MS;
  for (;;) {
    if ((await examine.outcome(manager.probe())).ok) return true;
    if (performance.now() > until) return false;
    await new Promise((resolve) => setTimeout(resolve, PROBE_MS / 10));
  }
}

async function probeFails(examine: Examination, manager: Manager<unknown>, when: string): Promise<void> {
  const outcome = await examine.outcome(manager.probe());
  examine.assert.ok(!outcome.ok, `a probe fails ${when}`);
  examine.assert.ok(manager.lastProbe?.error !== undefined, "the last probe keeps the error");
}

/** Probes and stats that can be believed. */
export const truthCases: readonly ContractCase[] = [
  {
    name: "answers a probe only while it is started",
    async run(examine) {
      const manager = await examine.fresh();
      await examine.refused(manager.probe(), "RESOURCE_UNAVAILABLE");
      await manager.start();
      await manager.probe();
      examine.assert.strictEqual(manager.lastProbe?.error, undefined, "the last probe has no error");
      await manager.stop();
      await examine.refused(manager.probe(), "RESOURCE_UNAVAILABLE");
    },
  },
  {
    name: "gives stats in every phase, as a frozen plain snapshot",
    async run(examine) {
      const manager = await examine.fresh();
      const phases: unknown[] = [manager.stats()["phase"]];
      await manager.start();
      const snapshot = manager.stats();
      phases.push(snapshot["phase"]);
      await manager.stop();
      phases.push(manager.stats()["phase"]);
      examine.assert.strictEqual(phases.join(), "idle,ready,stopped");
      examine.assert.ok(Object.isFrozen(snapshot), "stats are frozen");
      examine.assert.strictEqual(snapshot["phase"], "ready", "a snapshot does not change later");
      structuredClone(snapshot);
    },
  },
  {
    name: "refuses calls while it is not ready",
    needs: "use",
    async run(examine) {
      const manager = await examine.fresh();
      await examine.turnedAway(examine.use(manager), "not started");
      await manager.start();
      await examine.use(manager);
      await manager.stop();
      await examine.turnedAway(examine.use(manager), "stopped");
    },
  },
  {
    name: "counts every call once: started is succeeded, failed and in use together",
    needs: "use",
    async run(examine) {
      const manager = await examine.ready();
      await Promise.all(Array.from({ length: CALLS }, () => examine.use(manager)));
      await manager.drain();
      const groups = countsIn(manager.stats());
      examine.assert.ok(groups.length > 0, `stats hold ${NAMES.join(", ")}`);
      for (const { started, succeeded, failed, inUse } of groups) {
        examine.assert.strictEqual(started, succeeded + failed + inUse, "the counts add up");
        examine.assert.strictEqual(inUse, 0, "nothing is in use at rest");
      }
      examine.assert.ok(
        groups.some(({ succeeded }) => succeeded >= CALLS),
        `${CALLS} calls were counted`,
      );
    },
  },
  {
    name: "finishes the calls in flight when it drains, and refuses new ones",
    needs: "use",
    async run(examine) {
      const manager = await examine.ready();
      const calls = Array.from({ length: CALLS }, () => examine.outcome(examine.use(manager)));
      const draining = manager.drain();
      await examine.turnedAway(examine.use(manager), "draining");
      await draining;
      examine.assert.ok(
        (await Promise.all(calls)).every(({ ok }) => ok),
        "every call in flight succeeded",
      );
    },
  },
  {
    name: "says so when the remote is silent, and when it is back",
    needs: "proxy",
    async run(examine) {
      const manager = await examine.ready({ probeTimeoutMs: PROBE_MS });
      await manager.probe();
      examine.proxy.blackhole();
      await probeFails(examine, manager, "while the remote is silent");
      await examine.proxy.heal();
      examine.proxy.reset();
      examine.assert.ok(await recovers(examine, manager), "it recovers by itself");
    },
  },
  {
    name: "says so when the remote is gone, and when it is back",
    needs: "proxy",
    async run(examine) {
      const manager = await examine.ready({ probeTimeoutMs: PROBE_MS });
      await examine.proxy.refuse();
      examine.proxy.reset();
      await probeFails(examine, manager, "while the remote is gone");
      await examine.proxy.heal();
      examine.assert.ok(await recovers(examine, manager), "it recovers by itself");
    },
  },
  {
    name: "stops in time while the remote is silent",
    needs: "proxy",
    async run(examine) {
      const manager = await examine.ready({ stopTimeoutMs: 1_000, drainTimeoutMs: PROBE_MS, probeTimeoutMs: PROBE_MS });
      examine.proxy.blackhole();
      await examine.outcome(manager.probe());
      await examine.outcome(manager.drain());
      await manager.stop();
      examine.phase(manager, "stopped");
    },
  },
];
