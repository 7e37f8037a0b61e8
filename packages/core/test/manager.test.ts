import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { FakeClock } from "../src/testing.ts";
import t from "tap";
import { Lifecycle } from "../src/container.ts";
import { Manager, type ManagerContext } from "../src/driver.ts";
import { CHANNELS, Guard, type Phase, type ProbeEvent, type StateEvent } from "../src/index.ts";
import { TRANSITIONS } from "../src/lifecycle/lifecycle.ts";

type Hook = (signal: AbortSignal) => Promise<void> | void;

/** A manager whose driver does what the test says. */
class Scripted extends Manager<{ call(): Promise<string> }> {
  readonly guard: Guard;
  readonly log: string[] = [];
  hooks: { open?: Hook; ping?: Hook; close?: Hook; settle?: Hook } = {};
  override readonly client = { call: (): Promise<string> => this.guard.run(() => "answer") };

  constructor(context: ManagerContext = {}) {
    super("scripted", context);
    this.guard = new Guard({ resource: this.name, clock: this.clock, refusal: () => this.unavailable() });
  }
  protected override async onStart(signal: AbortSignal): Promise<void> {
    this.log.push("open");
    await this.hooks.open?.(signal);
  }
  protected override async onProbe(signal: AbortSignal): Promise<void> {
    await this.hooks.ping?.(signal);
  }
  protected override async onDrain(signal: AbortSignal): Promise<void> {
    this.log.push("settle");
    await this.hooks.settle?.(signal);
  }
  protected override async onStop(signal: AbortSignal): Promise<void> {
    this.log.push("close");
    await this.hooks.close?.(signal);
  }
  protected override measure(): Readonly<Record<string, unknown>> {
    return { ...this.guard.stats() };
  }
}

/** One whose calls pass a breaker. */
class Breaking extends Scripted {
  override readonly guard = new Guard({ ...this.guardBasis(), breaker: {} });
  protected override guards(): Iterable<Guard> {
    return [this.guard];
  }
  /** Lets `n` calls fail, one after another. */
  async fail(n: number): Promise<void> {
    for (let i = 0; i < n; i++) await this.guard.run(() => Promise.reject(new Error("down"))).catch(() => {});
  }
}

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

t.test("a start that ignores the end of its time is given up, and closed when it arrives", async (t) => {
  const clock = new FakeClock();
  const manager = new Scripted({ clock, startTimeoutMs: 1_000 });
  manager.hooks.open = () => clock.sleep(10_000);
  const error = await clock.runUntil(failure(manager.start()));
  t.match(error, { code: "START_TIMEOUT", message: /not ready within 1000 ms/, retryable: true });
  t.ok(clock.now() <= 2_000);
  t.ok(manager.startAbandoned);
  t.match(
    await failure(manager.start()),
    { code: "LIFECYCLE_CONFLICT" },
    "two starts of one driver would disturb each other",
  );
  await clock.advance(10_000);
  t.notOk(manager.startAbandoned);
  t.strictSame(manager.log, ["open", "close", "close"]);
  manager.hooks.open = () => {};
  await manager.start();
  t.equal(manager.phase, "ready");
  await manager.stop();
});

t.test("a stop during the start aborts it, and both report it", async (t) => {
  const clock = new FakeClock();
  const manager = new Scripted({ clock });
  manager.hooks.open = (signal) => clock.sleep(5_000, signal);
  const starting = failure(manager.start());
  await clock.settle();
  await clock.runUntil(manager.stop());
  t.match(await starting, { code: "START_ABORTED", message: /a stop was asked for/ });
  t.equal(manager.phase, "stopped");
  t.strictSame(manager.log, ["open", "close"]);
});

t.test("a drain waits for work, refuses new calls, and ends at its timeout", async (t) => {
  const clock = new FakeClock();
  const manager = new Scripted({ clock, drainTimeoutMs: 100 });
  await manager.start();
  manager.hooks.settle = () => clock.sleep(60);
  const draining = manager.drain();
  t.match(await failure(manager.client.call()), { code: "RESOURCE_UNAVAILABLE", message: "scripted: draining" });
  await clock.runUntil(draining);
  t.equal(clock.now(), 60);
  t.equal(manager.phase, "draining");
  await manager.stop();
  await manager.start();
  manager.hooks.settle = () => new Promise(() => {});
  t.match(await clock.runUntil(failure(manager.drain())), {
    code: "STOP_TIMEOUT",
    message: /after draining for 100 ms/,
  });
  await manager.stop();
});

t.test("a probe that is not answered in time fails, and the last one is remembered", async (t) => {
  const clock = new FakeClock();
  const manager = new Scripted({ clock, probeTimeoutMs: 200 });
  t.match(await failure(manager.probe()), { code: "RESOURCE_UNAVAILABLE", message: "scripted: not started" });
  await manager.start();
  await manager.probe();
  t.match(manager.lastProbe, { error: undefined });
  manager.hooks.ping = () => new Promise(() => {});
  t.match(await clock.runUntil(failure(manager.probe())), { code: "PROBE_TIMEOUT" });
  t.match(manager.lastProbe, { durationMs: 200, error: { code: "PROBE_TIMEOUT" } });
  await manager.stop();
});

t.test("a probe is published with how it went; one that its caller calls off says nothing", async (t) => {
  const seen: ProbeEvent[] = [];
  const listener = (event: unknown): void => void seen.push(event as ProbeEvent);
  subscribe(CHANNELS.probe, listener);
  t.teardown(() => unsubscribe(CHANNELS.probe, listener));
  const clock = new FakeClock();
  const manager = new Scripted({ clock, name: "orders", probeTimeoutMs: 200 });
  await manager.start();
  let asked: AbortSignal | undefined;
  manager.hooks.ping = (signal) => clock.sleep(30, (asked = signal));
  await clock.runUntil(manager.probe());
  t.strictSame(seen, [{ resource: "orders", durationMs: 30, error: undefined }]);
  const quit = new AbortController();
  const called = failure(manager.probe({ signal: quit.signal }));
  quit.abort(new Error("no longer wanted"));
  t.match(await clock.runUntil(called), { message: "no longer wanted" });
  t.ok(asked?.aborted);
  t.equal(seen.length, 1);
  t.match(manager.lastProbe, { at: 30, error: undefined });
  manager.hooks.ping = (signal) => clock.sleep(60_000, (asked = signal));
  const error = await clock.runUntil(failure(manager.probe({ timeoutMs: 50 })));
  t.match(error, { code: "PROBE_TIMEOUT", resource: "orders", retryable: true, message: /within 50 ms/ });
  t.ok(asked?.aborted, "it does not go on for nothing");
  t.match(seen.slice(1), [{ resource: "orders", durationMs: 50, error }]);
  await manager.stop();
});

t.test("every move is published, and only moves of the table are made", async (t) => {
  const seen: string[] = [];
  const listener = (event: unknown): void => {
    const { resource, from, to } = event as StateEvent;
    if (resource === "scripted") seen.push(`${from}>${to}`);
  };
  subscribe(CHANNELS.state, listener);
  t.teardown(() => unsubscribe(CHANNELS.state, listener));
  const manager = new Scripted();
  await manager.start();
  await manager[Symbol.asyncDispose]();
  t.strictSame(seen, ["idle>starting", "starting>ready", "ready>draining", "draining>stopping", "stopping>stopped"]);
  const phases = Object.keys(TRANSITIONS) as Phase[];
  for (const from of phases)
    for (const to of phases) {
      const lifecycle = new Lifecycle("x", { now: () => 0 });
      for (const step of pathTo(from)) t.ok(lifecycle.move([lifecycle.phase], step));
      t.equal(lifecycle.move([from], to), TRANSITIONS[from].includes(to), `${from} to ${to}`);
    }
});

function pathTo(phase: Phase): Phase[] {
  const paths: Record<Phase, Phase[]> = {
    idle: [],
    starting: ["starting"],
    ready: ["starting", "ready"],
    draining: ["starting", "ready", "draining"],
    stopping: ["starting", "stopping"],
    stopped: ["stopped"],
    failed: ["starting", "failed"],
  };
  return paths[phase];
}

t.test("a start lets all calls through, whatever calls showed before the stop", async (t) => {
  const manager = new Breaking({ clock: new FakeClock() });
  await manager.start();
  await manager.fail(5);
  t.match(manager.stats()["breaker"], { state: "open", consecutiveFailures: 5 });
  await manager.stop();
  t.match(manager.stats()["breaker"], { state: "open" }, "a stop shows nothing");
  const refused = new Error("connection refused");
  manager.hooks.open = () => Promise.reject(refused);
  t.equal(await failure(manager.start()), refused);
  t.match(manager.stats()["breaker"], { state: "open" }, "nor does a start that fails");
  manager.hooks.open = () => {};
  await manager.start();
  t.match(manager.stats()["breaker"], { state: "closed", consecutiveFailures: 0 });
  t.match(manager.passive, { failingRatio: 0, degradedRatio: 0, isSuspect: false });
  const answers = await Promise.all([1, 2, 3, 4, 5].map(() => manager.client.call()));
  t.strictSame(answers, Array(5).fill("answer"));
  await manager.fail(4);
  t.match(manager.stats()["breaker"], { state: "closed" }, "failures are counted anew");
  await manager.stop();
});

t.test("a call from before the stop that fails after the next start says nothing", async (t) => {
  const clock = new FakeClock();
  const manager = new Breaking({ clock });
  await manager.start();
  const breakAll: (() => void)[] = [];
  const begin = (): void => {
    const broken = new Promise((_, reject) => breakAll.push(() => reject(new Error("reset"))));
    manager.guard.run(() => broken).catch(() => {});
  };
  for (let i = 0; i < 5; i++) begin();
  await manager.stop();
  await clock.advance(1);
  await manager.start();
  for (const breakOne of breakAll) breakOne();
  await clock.settle();
  t.match(manager.stats()["breaker"], { state: "closed", consecutiveFailures: 0 });
  t.notOk(manager.passive.isSuspect);
  await manager.stop();
});
