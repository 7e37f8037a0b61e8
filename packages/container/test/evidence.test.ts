import { guarded, resource, type StewardError } from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import { failure } from "@steward/testing";
import t from "tap";
import { container } from "../src/index.ts";

const store = {
  down: false,
  read: async (): Promise<string> => (store.down ? Promise.reject(new Error("S3 is down")) : "value"),
};

function guardedStore(guard = {}) {
  return resource("store", { guard, start: () => store });
}

t.test("calls through the guard of a resource of one's own are its health and its series", async (t) => {
  const clock = new FakeClock();
  store.down = false;
  const definition = guardedStore({ maxConcurrent: 10, timeoutMs: 1_000 });
  await using running = await container([definition], { clock }).start();
  const value = running.get(definition);
  const read = (): Promise<string> => guarded(value, () => value.read());
  t.equal(await read(), "value");
  t.equal(running.health().status, "healthy");
  store.down = true;
  const codes = new Set<string>();
  for (let i = 0; i < 30; i++) {
    codes.add((await read().catch((error: StewardError) => error.code ?? error.message)) as string);
    await clock.advance(20);
  }
  t.same([...codes], ["S3 is down", "CIRCUIT_OPEN"]);
  t.match(running.health().resources[0], { name: "store", status: "unhealthy", reason: /failures in a row/ });
  const outcomes = [...running.metrics()]
    .filter(({ name }) => name === "dependency_requests_total")
    .map(({ attributes, value: count }) => [attributes["resource"], attributes["outcome"], Number(count) > 0]);
  t.same(outcomes, [
    ["store", "success", true],
    ["store", "failure", true],
    ["store", "overloaded", false],
    ["store", "circuit_open", true],
  ]);
  store.down = false;
  for (let i = 0; i < 100; i++) {
    await read().catch(() => {});
    await clock.advance(20);
  }
  t.equal(running.health().status, "healthy");
});

t.test("without a breaker the same calls make it unhealthy, and each of them is tried", async (t) => {
  const clock = new FakeClock();
  const definition = guardedStore({ breaker: false });
  await using running = await container([definition], { clock }).start();
  const value = running.get(definition);
  store.down = true;
  for (let i = 0; i < 10; i++) {
    t.match(await failure(guarded(value, () => value.read())), { message: "S3 is down" });
    await clock.advance(20);
  }
  t.match(running.health().resources[0], { status: "unhealthy", reason: /calls in a row failed: S3 is down/ });
  store.down = false;
});

t.test("a value without a guard is refused with what to write", async (t) => {
  t.match(await failure(guarded({}, () => 1)), { code: "NOT_GUARDED", message: /declare `guard: {}`/ });
});

t.test("a guard needs a resource of the application, whose value is an object", async (t) => {
  t.throws(() => resource("tx", { lifetime: "handler", guard: {}, start: () => ({}) }), {
    code: "OPTIONS_INVALID",
    message: /guard: is for what a container holds; this lives in a handler/,
  });
  const text = resource("text", { guard: {}, start: () => "text" });
  t.match(await failure(container([text]).start()), { message: /only an object or a function can be guarded/ });
});

t.test("a drain waits for what runs through the guard", async (t) => {
  const clock = new FakeClock();
  const definition = guardedStore();
  const running = await container([definition], { clock }).start();
  let end: (value: string) => void = () => {};
  const call = guarded(running.get(definition), () => new Promise<string>((resolve) => (end = resolve)));
  const stopping = running.stop();
  let stopped = false;
  void stopping.then(() => (stopped = true));
  await clock.advance(100);
  t.equal(stopped, false);
  end("done");
  t.equal(await call, "done");
  await stopping;
});

t.test("a first failure asks at once, and not again and again", async (t) => {
  const clock = new FakeClock();
  let probes = 0;
  const definition = resource("store", { guard: {}, start: () => store, probe: () => void probes++ });
  await using running = await container([definition], { clock, health: { intervalMs: 600_000 } }).start();
  const value = running.get(definition);
  await clock.advance(1);
  store.down = true;
  await guarded(value, () => value.read()).catch(() => {});
  const before = probes;
  await clock.advance(100);
  t.equal(probes, before + 1);
  store.down = false;
  for (let i = 0; i < 40; i++) {
    store.down = i % 2 === 0;
    await guarded(value, () => value.read()).catch(() => {});
    await clock.advance(20);
  }
  t.ok(probes <= before + 3, `${probes - before} probes for 20 failures in 800 ms`);
  store.down = false;
});

t.test("interval, timeout and thresholds of probes can be set for each resource, and for all", async (t) => {
  const clock = new FakeClock();
  const asked = { quick: 0, usual: 0 };
  const hang = (): Promise<void> => new Promise(() => {});
  let isDown = false;
  const quick = resource("quick", {
    start: () => ({}),
    probe: () => (asked.quick++, isDown ? hang() : undefined),
    health: { intervalMs: 1_000, timeoutMs: 200, unhealthyAfter: 1, healthyAfter: 1 },
  });
  const usual = resource("usual", { start: () => ({}), probe: () => (asked.usual++, isDown ? hang() : undefined) });
  await using running = await container([quick, usual], {
    clock,
    health: { intervalMs: 20_000, timeoutMs: 5_000 },
  }).start();
  const statusOf = (name: string) => running.health().resources.find((one) => one.name === name)?.status;
  await clock.advance(60_000);
  t.ok(asked.quick >= 40 && asked.quick <= 80, `${asked.quick} probes a minute`);
  t.ok(asked.usual <= 4, `${asked.usual} probes a minute`);
  isDown = true;
  await clock.advance(1_400);
  t.equal(statusOf("quick"), "unhealthy");
  t.equal(statusOf("usual"), "healthy");
  isDown = false;
  await clock.advance(1_500);
  t.equal(statusOf("quick"), "healthy");
});

t.test("a stop aborts a probe that runs", async (t) => {
  const clock = new FakeClock();
  const signals: AbortSignal[] = [];
  const slow = resource("slow", {
    start: () => ({}),
    probe: (_value, context) => (signals.push(context.signal), new Promise(() => {})),
    health: { intervalMs: 60_000, timeoutMs: 50_000 },
  });
  const running = await container([slow], { clock }).start();
  // The first probe comes at a random instant of the interval.
  while (signals.length === 0) await clock.advance(1_000);
  t.equal(signals[0]?.aborted, false);
  const since = clock.now();
  await clock.runUntil(running.stop());
  t.equal(signals[0]?.aborted, true);
  t.ok(clock.now() - since < 1_000);
});
