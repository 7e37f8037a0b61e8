import { container } from "../src/index.ts";
import { current, currentContext, Guard, optional, resource, runWithContext } from "@steward/core";
import { Manager, defineDriver, type ManagerContext } from "@steward/core/driver";
import { FakeClock } from "@steward/core/testing";
import t from "tap";
import * as v from "valibot";

/** A remote that a test can take down, and a manager that talks to it through a guard. */
class Remote {
  down = false;
  renewals = 0;
  readonly renewedFor: unknown[] = [];
  probes = 0;
  /** What a renewal waits for. */
  renewing: Promise<void> = Promise.resolve();
}

class RemoteManager extends Manager<{ call(): Promise<string> }> {
  readonly #remote: Remote;
  readonly #guard: Guard;
  override readonly client = { call: (): Promise<string> => this.#guard.run(() => this.#answer()) };

  constructor({ remote }: { readonly remote: Remote }, context: ManagerContext) {
    super("remote", context);
    this.#remote = remote;
    this.#guard = new Guard({ resource: this.name, clock: this.clock, breaker: {}, refusal: () => this.unavailable() });
  }
  protected override guards(): Iterable<Guard> {
    return [this.#guard];
  }
  protected override onStart(): Promise<void> {
    return this.#answer().then(() => undefined);
  }
  protected override onProbe(): Promise<void> {
    this.#remote.probes++;
    return this.#answer().then(() => undefined);
  }
  protected override onStop(): void {}
  override async renew(): Promise<void> {
    this.#remote.renewals++;
    this.#remote.renewedFor.push(currentContext());
    await this.#remote.renewing;
  }
  #answer(): Promise<string> {
    return this.#remote.down ? Promise.reject(new Error("connect ECONNREFUSED")) : Promise.resolve("answer");
  }
}

const remotePool = defineDriver<{ readonly remote: Remote }, { call(): Promise<string> }>({
  kind: "remote",
  schema: v.strictObject({ remote: v.instance(Remote) }),
  create: (options, context) => new RemoteManager(options, context),
  settings: { readiness: "startup", tags: ["cache"] },
});

async function setUp() {
  const clock = new FakeClock();
  const remote = new Remote();
  const db = remotePool("db", { remote });
  const users = resource("users", { needs: { db }, start: ({ db }) => db });
  const page = resource("page", { needs: { users: current(users) }, start: () => 1 });
  const other = resource("other", { start: () => 1 });
  const running = await container([page, other], { clock }).start();
  return { clock, remote, db, users, running };
}

t.test("what has started is healthy, and what is not watched is as its lifecycle says", async (t) => {
  const { running } = await setUp();
  t.match(running.health(), {
    status: "healthy",
    phase: "ready",
    resources: [{ name: "db", status: "healthy", driver: "remote", readiness: "startup", tags: ["cache"] }, {}, {}, {}],
  });
  await running.stop();
  t.equal(running.health().status, "unhealthy");
});

t.test(
  "an outage without traffic is found by probes, its dependants say what the reason is, and root causes come first",
  async (t) => {
    const { clock, remote, running } = await setUp();
    remote.down = true;
    await clock.advance(12_000 + 4_000);
    const report = running.health();
    t.equal(report.status, "unhealthy");
    t.match(report.resources, [
      {
        name: "db",
        status: "unhealthy",
        ownStatus: "unhealthy",
        reason: /probes in a row failed: connect ECONNREFUSED/,
        causes: [],
      },
      { name: "users", status: "degraded", ownStatus: "healthy", causes: ["db"], reason: "it needs db" },
      { name: "page", status: "degraded", causes: ["db"] },
      { name: "other", status: "healthy", causes: [] },
    ]);
    remote.down = false;
    await clock.advance(25_000);
    t.equal(running.health().status, "healthy");
    await running.stop();
  },
);

t.test(
  "real calls show an outage at once, probes find the recovery, and the breaker lets calls come back",
  async (t) => {
    const { clock, remote, db, running } = await setUp();
    remote.down = true;
    for (let i = 0; i < 5; i++)
      await running
        .get(db)
        .call()
        .catch(() => {});
    t.match(running.health().resources[0], { name: "db", status: "healthy" }, "a look is at most 100 ms old");
    await clock.advance(100);
    running.health();
    await clock.advance(1);
    t.match(running.health().resources[0], { name: "db", status: "unhealthy", reason: "5 failures in a row" });
    await t.rejects(running.get(db).call(), { code: "CIRCUIT_OPEN" });
    remote.down = false;
    await clock.advance(4_000);
    t.match(running.health().resources[0], { name: "db", status: "healthy" });
    t.equal(await running.get(db).call(), "answer");
    await running.stop();
  },
);

t.test("while real calls succeed nothing is probed", async (t) => {
  const { clock, remote, db, running } = await setUp();
  await running.get(db).call();
  const before = remote.probes;
  for (let i = 0; i < 60; i++) {
    await clock.advance(1_000);
    await running.get(db).call();
  }
  t.equal(remote.probes, before);
  await running.stop();
});

t.test("what stays unhealthy is renewed, at growing intervals and not more than the limit", async (t) => {
  const { clock, remote, running } = await setUp();
  remote.down = true;
  await clock.advance(16_000);
  t.equal(running.health().status, "unhealthy");
  await clock.advance(2_000);
  t.ok(remote.renewals >= 1);
  // As real timers do that a request has set.
  await runWithContext({ deadline: 0 }, () => clock.advance(250_000));
  t.ok(
    remote.renewedFor.every((context) => context === undefined),
    "none is the work of a request",
  );
  t.equal(remote.renewals, 5, "five in five minutes");
  await running.stop();
  await clock.advance(600_000);
  t.equal(remote.renewals, 5, "and none after the stop");
  t.equal(clock.pending, 0);
});

t.test("a renewal that is under way when all stops is the last one", async (t) => {
  const { clock, remote, running } = await setUp();
  let finish: () => void = () => {};
  remote.renewing = new Promise((resolve) => (finish = resolve));
  remote.down = true;
  await clock.advance(20_000);
  t.equal(remote.renewals, 1);
  await running.stop();
  finish();
  await clock.advance(0);
  t.equal(clock.pending, 0);
});

t.test("an optional resource that is down degrades, and does not count for readiness", async (t) => {
  const clock = new FakeClock();
  const remote = new Remote();
  remote.down = true;
  const cache = remotePool("cache", { remote, criticality: "optional" });
  const off = resource("off", { enabled: false, start: () => 1 });
  const users = resource("users", { needs: { cache, off: optional(off) }, start: ({ cache }) => cache });
  const running = await container([users], { clock }).start();
  await t.rejects(running.get(users).call(), { code: "RESOURCE_UNAVAILABLE", message: /down: connect ECONNREFUSED/ });
  t.match(running.health(), {
    status: "degraded",
    resources: [
      { name: "cache", status: "unhealthy", phase: "failed", criticality: "optional", readiness: "startup" },
      { name: "users", causes: ["cache"] },
      { name: "off", phase: "disabled", status: "healthy" },
    ],
  });
  remote.down = false;
  await clock.advance(3_000);
  t.equal(await running.get(users).call(), "answer");
  t.equal(running.health().status, "healthy");
  await running.stop();
});

t.test("watching can be declined, and then lifecycle and the last probe are all there is", async (t) => {
  const clock = new FakeClock();
  const remote = new Remote();
  const db = remotePool("db", { remote });
  const running = await container([db], { clock, health: false }).start();
  t.equal(clock.pending, 0);
  remote.down = true;
  t.match(await running.probe(), { status: "unhealthy" });
  await running.stop();
});

t.test("what a restart made is watched, and what it replaced is not", async (t) => {
  const { clock, remote, db, running } = await setUp();
  await running.restart(db);
  t.equal(running.health().status, "healthy");
  remote.down = true;
  await clock.advance(16_000);
  t.equal(running.health().resources.filter(({ name }) => name === "db").length, 1);
  t.equal(running.health().status, "unhealthy");
  await running.stop();
  t.equal(clock.pending, 0);
});
