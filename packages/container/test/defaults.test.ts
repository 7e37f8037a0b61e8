import { failure } from "@steward/testing";
import { container } from "../src/index.ts";
import { guarded, isStewardError, resource } from "@steward/core";
import { Manager, defineDriver, environmentSchema, type ManagerContext } from "@steward/core/driver";
import { FakeClock } from "@steward/core/testing";
import t from "tap";
import * as v from "valibot";

interface PoolOptions {
  readonly queryTimeoutMs?: number | undefined;
  readonly breaker?: object | false | undefined;
  readonly environment?: string | undefined;
}

/** A pool whose client shows the options that it was made with. */
class PoolManager extends Manager<PoolOptions> {
  override readonly client: PoolOptions;
  probes = 0;
  constructor(options: PoolOptions, context: ManagerContext) {
    super("pool", context);
    this.client = options;
  }
  protected override onStart(): void {}
  protected override onProbe(): void {
    this.probes++;
  }
  protected override onStop(): void {}
  protected override measure(): Readonly<Record<string, unknown>> {
    return { probes: this.probes };
  }
}

const pool = defineDriver<PoolOptions, PoolOptions>({
  kind: "pool",
  schema: v.strictObject({
    queryTimeoutMs: v.optional(v.pipe(v.number(), v.maxValue(60_000, "must be at most 60,000"))),
    breaker: v.optional(v.union([v.literal(false), v.looseObject({})])),
    environment: v.optional(environmentSchema()),
  }),
  create: (options, context) => new PoolManager(options, context),
  inherit: ({ timeoutMs, breaker, environment }) => ({ queryTimeoutMs: timeoutMs, breaker, environment }),
});

t.test("drivers inherit what the container says, and an option of their own wins", async (t) => {
  const config = resource("config", { start: () => ({ queryTimeoutMs: 7 }) });
  const silent = pool("silent", {});
  const own = pool("own", { queryTimeoutMs: 50, breaker: false });
  const derived = pool("derived", { needs: { config }, options: ({ config }) => config });
  const defaults = { timeoutMs: 2_000, breaker: { consecutiveFailures: 2 } };
  await using running = await container([silent, own, derived], { defaults }).start();
  t.same(running.get(silent), { queryTimeoutMs: 2_000, breaker: { consecutiveFailures: 2 } });
  t.same(running.get(own), { queryTimeoutMs: 50, breaker: false });
  t.same(running.get(derived), { queryTimeoutMs: 7, breaker: { consecutiveFailures: 2 } });
  await using without = await container([silent]).start();
  t.same(without.get(silent), {}, "without defaults a driver has its own");
});

t.test("the environment of a container is that of its stores, and its name is checked", async (t) => {
  const own = pool("own", { environment: "staging" });
  const silent = pool("silent", {});
  await using running = await container([silent, own], { defaults: { environment: "production" } }).start();
  t.same([running.get(silent).environment, running.get(own).environment], ["production", "staging"]);
  const wrong = { code: "OPTIONS_INVALID", message: /environment: must be 1 to 32 lower-case letters/ };
  for (const environment of ["", "Production", "a b", "a/b", "x".repeat(33)]) {
    t.throws(() => container([silent], { defaults: { environment } }), wrong);
    t.match(await failure(container([pool("db", { environment })]).start()), wrong);
  }
});

t.test("a default that a driver does not take is refused at the start, naming both", async (t) => {
  const error = await failure(container([pool("db", {})], { defaults: { timeoutMs: 90_000 } }).start());
  t.match(error, { code: "OPTIONS_INVALID", message: /db.*queryTimeoutMs.*must be at most 60,000/s });
});

t.test("guards of one's own inherit deadline, retry and breaker, and their own wins", async (t) => {
  const clock = new FakeClock();
  const silent = resource("silent", { guard: {}, start: () => ({ name: "silent" }) });
  const own = resource("own", {
    guard: { timeoutMs: 20, retry: { maxAttempts: 1 }, breaker: { consecutiveFailures: 1 } },
    start: () => ({ name: "own" }),
  });
  const defaults = { timeoutMs: 100, retry: { maxAttempts: 2, baseDelayMs: 1 }, breaker: false } as const;
  const running = await container([silent, own], { clock, defaults }).start();
  t.teardown(() => clock.runUntil(running.stop()));
  const late = async (value: object): Promise<number> => {
    const since = clock.now();
    const error = await clock.runUntil(failure(guarded(value, () => new Promise(() => {}))));
    t.ok(isStewardError(error, "DEADLINE_EXCEEDED"));
    return Math.round((clock.now() - since) / 10) * 10;
  };
  t.equal(await late(running.get(silent)), 100);
  t.equal(await late(running.get(own)), 20);
  const attempts = { silent: 0, own: 0 };
  for (const value of [running.get(silent), running.get(own)]) {
    const call = guarded(
      value,
      () => {
        attempts[value.name as "silent" | "own"]++;
        throw Object.assign(new Error("reset"), { code: "ECONNRESET" });
      },
      { idempotent: true },
    );
    await clock.runUntil(failure(call));
  }
  t.equal(attempts.silent, 2);
  t.ok(attempts.own <= 1);
  t.notOk("breaker" in (await statsOfBreaker(running.get(silent))), "no breaker, as the container says");
});

/** Asks the series, which have a breaker only where there is one. */
async function statsOfBreaker(value: object): Promise<object> {
  const error = await failure(guarded(value, () => Promise.reject(new Error("no"))));
  return isStewardError(error, "CIRCUIT_OPEN") ? { breaker: true } : {};
}

t.test("health: false probes nothing, unless a resource says how it is watched", async (t) => {
  const clock = new FakeClock();
  const silent = pool("silent", {});
  const own = pool("own", { health: { intervalMs: 1_000 } });
  const running = await container([silent, own], { clock, defaults: { health: false } }).start();
  t.teardown(() => clock.runUntil(running.stop()));
  await clock.advance(60_000);
  t.equal(running.stats()["silent"]?.["probes"], 0);
  t.ok(Number(running.stats()["own"]?.["probes"]) > 40);
  t.equal(running.health().status, "healthy");
});

t.test("health of the defaults is the rhythm of every resource, and its own wins by field", async (t) => {
  const clock = new FakeClock();
  const silent = pool("silent", {});
  const own = pool("own", { health: { intervalMs: 30_000 } });
  const running = await container([silent, own], { clock, defaults: { health: { intervalMs: 1_000 } } }).start();
  t.teardown(() => clock.runUntil(running.stop()));
  await clock.advance(60_000);
  t.ok(Number(running.stats()["silent"]?.["probes"]) > 40);
  t.ok(Number(running.stats()["own"]?.["probes"]) <= 3);
});

t.test("metrics: false takes resources out of the series, unless one says otherwise", async (t) => {
  const silent = resource("silent", { guard: {}, start: () => ({}) });
  const own = resource("own", { guard: {}, metrics: true, start: () => ({}) });
  await using running = await container([silent, own], { defaults: { metrics: false } }).start();
  await Promise.all([guarded(running.get(silent), () => 1), guarded(running.get(own), () => 1)]);
  const resources = new Set([...running.metrics()].flatMap(({ attributes }) => attributes["resource"] ?? []));
  t.same([...resources], ["own"]);
  t.ok([...running.metrics()].some(({ name, value }) => name === "resource_count" && value === 2));
});

t.test("wrong defaults are refused, all at once and with the nearest name", async (t) => {
  const wrong = { timeoutMs: Number.NaN, timeout: 3, breaker: { failRatio: 1 }, health: { intervalMs: 0 }, metrics: 1 };
  const error = await failure(Promise.resolve().then(() => container([], { defaults: wrong as object })));
  t.equal((error as { code?: string }).code, "OPTIONS_INVALID");
  for (const part of [
    /defaults\.timeoutMs/,
    /defaults\.timeout: is not an option; did you mean "timeoutMs"/,
    /defaults\.breaker\.failRatio/,
    /defaults\.health/,
    /defaults\.metrics/,
  ])
    t.match((error as Error).message, part);
});
