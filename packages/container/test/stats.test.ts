import { container, type RunningContainer } from "../src/index.ts";
import { Guard, guarded, resource, type MetricsSource } from "@steward/core";
import { Manager, defineDriver, type ManagerContext } from "@steward/core/driver";
import { FakeClock } from "@steward/core/testing";
import t from "tap";
import * as v from "valibot";

/** A pool of two connections whose calls take 20 ms. */
class PoolManager extends Manager<{ call(fails?: boolean): Promise<void> }> {
  readonly #guard: Guard;
  override readonly client = {
    call: (fails = false): Promise<void> =>
      this.#guard.run(async () => {
        await this.clock.sleep(20);
        if (fails) throw new Error("connection reset");
      }),
  };
  constructor(context: ManagerContext) {
    super("pool", context);
    this.#guard = new Guard({ ...this.guardBasis(), maxConcurrent: 2 });
  }
  protected override guards(): Iterable<Guard> {
    return [this.#guard];
  }
  protected override onStart(): Promise<void> {
    return this.clock.sleep(30);
  }
  protected override onProbe(): void {}
  protected override onStop(): void {}
  protected override measure(): Readonly<Record<string, unknown>> {
    return { size: 2 };
  }
}

const pool = defineDriver<{}, { call(fails?: boolean): Promise<void> }>({
  kind: "pool",
  schema: v.strictObject({}),
  create: (_options, context) => new PoolManager(context),
  settings: {},
});

async function setUp() {
  const clock = new FakeClock();
  let isDown = false;
  const db = pool("db", {});
  const plain = resource("plain", {
    start: () => ({}),
    probe: () => {
      if (isDown) throw new Error("no route to host");
    },
  });
  const app = container([db, plain], { clock, health: { unhealthyAfter: 1, healthyAfter: 1, intervalMs: 3_600_000 } });
  const running = await clock.runUntil(app.start());
  const take = (down: boolean): Promise<unknown> => {
    isDown = down;
    return running.probe();
  };
  return { clock, db, plain, running, take };
}

t.test("stats show calls, errors, average, peak and utilisation beside the numbers of the driver", async (t) => {
  const { clock, db, running } = await setUp();
  t.teardown(() => clock.runUntil(running.stop()));
  const client = running.get(db);
  t.match(running.stats()["db"], { size: 2, callCount: 0, errorCount: 0, averageMs: undefined, utilisation: 0 });
  const calls = Promise.allSettled([client.call(), client.call(true), client.call()]);
  await clock.advance(0);
  t.equal(running.stats()["db"]?.utilisation, 1);
  await clock.runUntil(calls);
  const { callCount, errorCount, averageMs, peakInUse, utilisation } = running.stats()["db"] ?? {};
  t.same(
    { callCount, errorCount, averageMs, peakInUse, utilisation },
    {
      callCount: 3,
      errorCount: 1,
      averageMs: 20,
      peakInUse: 2,
      utilisation: 0,
    },
  );
  t.match(running.stats()["plain"], { callCount: undefined, peakInUse: undefined, utilisation: undefined });
});

t.test("stats show start, uptime and availability; availability outlives a restart, uptime does not", async (t) => {
  const { clock, db, plain, running, take } = await setUp();
  t.teardown(() => clock.runUntil(running.stop()));
  t.match(running.stats()["db"], { phase: "ready", startedInMs: 30, uptimeMs: 0 });
  await clock.advance(600);
  await take(true);
  await clock.advance(300);
  await take(false);
  await clock.advance(100);
  const { uptimeMs, availability } = running.stats()["plain"] ?? {};
  t.equal(uptimeMs, 1_030);
  t.equal(availability, 0.7, "300 of 1,000 ms it was unhealthy");
  t.equal(running.stats()["db"]?.availability, 1);
  await clock.runUntil(running.restart(plain));
  await clock.advance(500);
  t.equal(running.stats()["plain"]?.uptimeMs, 500);
  t.equal(running.stats()["plain"]?.availability, 0.8);
  await clock.runUntil(running.restart(db));
  t.equal(running.stats()["db"]?.peakInUse, 0, "another instance has other calls");
});

t.test("the same numbers are series, with counts of all resources and of those that are ready", async (t) => {
  const clock = new FakeClock();
  const store = resource("store", { guard: { maxConcurrent: 4 }, start: () => ({}) });
  const cache = resource("cache", { criticality: "optional", start: () => Promise.reject(new Error("down")) });
  const running = await container([store, cache], { clock }).start();
  t.teardown(() => clock.runUntil(running.stop()));
  const call = guarded(running.get(store), () => clock.sleep(10));
  await clock.advance(5);
  const series = Object.fromEntries(
    [...running.metrics()].map(({ name, attributes, value }) => [
      [name, attributes["resource"]].filter(Boolean).join(" "),
      value,
    ]),
  );
  t.match(series, {
    resource_count: 2,
    resource_ready_count: 1,
    "resource_uptime_seconds store": 0.005,
    "resource_uptime_seconds cache": 0,
    "resource_start_duration_seconds store": 0,
    "resource_availability_ratio store": 1,
    "resource_availability_ratio cache": 0,
    "dependency_in_use_peak store": 1,
    "dependency_utilisation_ratio store": 0.25,
  });
  t.notOk("resource_start_duration_seconds cache" in series, "it has not started yet");
  await clock.runUntil(call);
});

t.test(
  "health has no sample until the first start has ended, and stays 0 while a start that failed is tried again",
  async (t) => {
    const clock = new FakeClock();
    let fails = true;
    const cache = resource("cache", {
      criticality: "optional",
      start: async () => {
        await clock.sleep(400);
        if (fails) throw new Error("refused");
        return {};
      },
    });
    const healthIn = (source: MetricsSource): unknown[] =>
      [...source.metrics()]
        .filter(({ name }) => name === "dependency_health")
        .map(({ attributes, value }) => [attributes, value]);
    let first: unknown;
    const onStarting = (starting: RunningContainer): void =>
      void clock.setTimeout(() => (first = [starting.health().resources.length, healthIn(starting)]), 200);
    const running = await clock.runUntil(container([cache], { clock }).start([], { onStarting }));
    t.teardown(() => clock.runUntil(running.stop()));
    t.strictSame(first, [1, []], "it was there, and nothing was known of it");
    const seen = (): unknown[] => healthIn(running);
    const phases = new Set<string | undefined>();
    for (let i = 0; i < 40; i++) {
      phases.add(running.stats()["cache"]?.phase);
      t.strictSame(seen(), [[{ resource: "cache", criticality: "optional" }, 0]]);
      t.match(running.health().resources, [{ status: "unhealthy", reason: "it did not start: refused" }]);
      await clock.advance(100);
    }
    t.strictSame([...phases].sort(), ["failed", "starting"], "both were looked at");
    fails = false;
    await clock.advance(60_000);
    t.strictSame(seen(), [[{ resource: "cache", criticality: "optional" }, 1]]);
  },
);

t.test("where health is not watched there is no availability", async (t) => {
  await using running = await container([resource("one", { start: () => ({}) })], { health: false }).start();
  t.equal(running.stats()["one"]?.availability, undefined);
  t.notOk([...running.metrics()].some(({ name }) => name === "resource_availability_ratio"));
});

t.test("a driver whose numbers throw hides none of another", async (t) => {
  class ClosedManager extends PoolManager {
    protected override measure(): never {
      throw new Error("client is closed");
    }
  }
  const closed = defineDriver<{}, { call(fails?: boolean): Promise<void> }>({
    kind: "closed",
    schema: v.strictObject({}),
    create: (_options, context) => new ClosedManager(context),
    settings: {},
  });
  const clock = new FakeClock();
  const running = await clock.runUntil(container([closed("broken", {}), pool("db", {})], { clock }).start());
  t.match(running.stats(), { broken: { phase: "ready", statsError: /client is closed/ }, db: { size: 2 } });
  await clock.runUntil(running.stop());
});
