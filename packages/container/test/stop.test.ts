import { fresh, isStewardError, resource } from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";
import { container, StopError } from "../src/index.ts";

t.test("a stop that fails holds up nothing and is reported with all others", async (t) => {
  const log: string[] = [];
  const a = resource("a", { start: () => 1, stop: () => void log.push("-a") });
  const b = resource("b", { needs: { a }, start: () => 1, stop: () => Promise.reject(new Error("b is stuck")) });
  const c = resource("c", { needs: { b }, start: () => 1, stop: () => Promise.reject(new Error("c too")) });
  const running = await container([c]).start();
  const error = await running.stop().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  t.ok(error instanceof StopError && isStewardError(error, "STOP_FAILED"));
  t.match(error, {
    message: /2 of 3 resources did not stop cleanly/,
    failures: [{ resource: "c" }, { resource: "b" }],
  });
  t.strictSame(log, ["-a"]);
});

t.test("a stop that hangs ends at its stop timeout and is named with whom it held up", async (t) => {
  const clock = new FakeClock();
  const stopped: string[] = [];
  const disk = resource("disk", { start: () => 1, stop: () => void stopped.push("disk") });
  const config = resource("config", { needs: { disk }, start: () => 1, stop: () => void stopped.push("config") });
  const db = resource("db", {
    needs: { config },
    stopTimeoutMs: 1_000,
    start: () => 1,
    stop: () => new Promise(() => {}),
  });
  const running = await container([db], { clock }).start();
  const error = await clock.runUntil(
    running.stop().then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  );
  t.match(error, {
    code: "STOP_FAILED",
    message: /"db" in stop after 1000 ms: db: did not stop within 1000 ms; it is given up; held up: config, disk$/,
  });
  t.strictSame(stopped, ["config", "disk"]);
  t.equal(clock.now(), 1_000);
  t.equal(clock.holding, 0);
});

t.test("the signal of a stop aborts when time runs out, so that it can use force", async (t) => {
  const clock = new FakeClock();
  const db = resource("db", {
    stopTimeoutMs: 1_000,
    start: () => 1,
    stop: (_, { signal }) => new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
  });
  const running = await container([db], { clock }).start();
  await clock.runUntil(running.stop());
  t.ok(clock.now() < 1_000, "within the timeout, so it did stop");
});

t.test("the total stop timeout forces what is left", async (t) => {
  const clock = new FakeClock();
  const names = ["a", "b", "c", "d"];
  const all = names.map((name) =>
    resource(name, { start: () => 1, stopTimeoutMs: 60_000, stop: () => new Promise(() => {}) }),
  );
  const running = await container(all, { clock, stopTimeoutMs: 2_000 }).start();
  const error = await clock.runUntil(
    running.stop().then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  );
  t.match(error, { failures: names.map((resource) => ({ resource })) });
  t.ok(clock.now() <= 2_300, `ended at ${clock.now()}`);
});

t.test("any number of stops share one outcome, and a later one does nothing", async (t) => {
  let stops = 0;
  const a = resource("a", { start: () => 1, stop: () => void stops++ });
  const running = await container([a]).start();
  await Promise.all([running.stop(), running.stop(), running[Symbol.asyncDispose]()]);
  await running.stop();
  t.equal(stops, 1);
  t.equal(running.phase, "stopped");
});

t.test("draining goes roots first, and open scopes end before what they use drains", async (t) => {
  const log: string[] = [];
  const db = resource("db", {
    start: () => ({ query: () => "row" }),
    drain: () => void log.push("drain db"),
    stop: () => void log.push("stop db"),
  });
  const me = resource("me", { lifetime: "request", needs: { db }, start: ({ db }) => db });
  const server = resource("server", {
    start: () => 1,
    drain: () => void log.push("drain server"),
    stop: () => void log.push("stop server"),
  });
  const running = await container([server, me]).start();
  let end: () => void = () => {};
  const request = running.scope([], { me }, async ({ me }) => {
    await new Promise<void>((resolve) => (end = resolve));
    log.push(`request has its ${me.query()}`);
  });
  const stopping = running.stop();
  await new Promise((resolve) => setImmediate(resolve));
  t.strictSame(log, ["drain server"]);
  end();
  await Promise.all([request, stopping]);
  t.strictSame(log, ["drain server", "request has its row", "drain db", "stop server", "stop db"]);
});

t.test("a scope that outlives the drain is aborted and reported; one that ignores even that is given up", async (t) => {
  const clock = new FakeClock();
  const db = resource("db", { start: () => 1 });
  const me = resource("me", { lifetime: "request", needs: { db }, start: ({ db }) => db });
  const running = await container([me], { clock, drainTimeoutMs: 500 }).start();
  const polite = running.scope(
    [],
    { me },
    (_, scope) =>
      new Promise((_resolve, reject) =>
        scope.signal.addEventListener("abort", () => reject(scope.signal.reason as Error)),
      ),
  );
  void running.scope([], { me }, () => new Promise(() => {}));
  const outcome = polite.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  const error = await clock.runUntil(
    running.stop().then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  );
  t.match(await outcome, { code: "CONTAINER_CLOSED" });
  t.match(error, { code: "STOP_FAILED", message: /2 scopes were still open and were aborted; 1 of them did not end/ });
});

t.test("no scope opens once the container has stopped", async (t) => {
  const me = resource("me", { lifetime: "request", start: () => 1 });
  const running = await container([me]).start();
  await running.stop();
  await t.rejects(
    running.scope([], { me }, () => 1),
    { code: "CONTAINER_CLOSED" },
  );
  t.throws(() => running.scope(), { code: "CONTAINER_CLOSED" });
});

t.test("an instance of its own stops before what it needs", async (t) => {
  const log: string[] = [];
  const config = resource("config", { start: () => 1, stop: () => void log.push("config") });
  const pool = resource("pool", { needs: { config }, start: () => ({}), stop: () => void log.push("pool") });
  const user = resource("user", {
    needs: { own: fresh(pool), pool },
    start: (needs) => needs,
    stop: () => void log.push("user"),
  });
  const running = await container([user]).start();
  await running.stop();
  t.strictSame(log, ["user", "pool", "pool", "config"]);
});

t.test("many resources at once are no leak to warn of", async (t) => {
  const warnings: Error[] = [];
  const listener = (warning: Error): void => void warnings.push(warning);
  process.on("warning", listener);
  t.teardown(() => process.off("warning", listener));
  const all = Array.from({ length: 50 }, (_, i) =>
    resource(`r${i}`, { start: () => 1, drain: () => {}, stop: () => {} }),
  );
  const running = await container(all).start();
  await running.stop();
  await new Promise((resolve) => setImmediate(resolve));
  t.strictSame(warnings, []);
});
