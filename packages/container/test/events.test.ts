import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readFile } from "node:fs/promises";
import { announceShutdown } from "../src/framework.ts";
import { container } from "../src/index.ts";
import { CHANNELS, resource, type ContainerEvent } from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import t from "tap";

type Kind = "background" | "health" | "restart" | "shutdown";
type Heard = ContainerEvent & Readonly<Record<string, unknown>>;

/** Hears events of these kinds, of one container. */
function hear(t: Tap, container: string, ...kinds: Kind[]): Heard[] {
  const heard: Heard[] = [];
  for (const kind of kinds) {
    const listen = (event: unknown): void => {
      const one = event as Heard; // what these channels carry
      if (one.container === container) heard.push(one);
    };
    subscribe(CHANNELS[kind], listen);
    t.teardown(() => unsubscribe(CHANNELS[kind], listen));
  }
  return heard;
}

type Tap = { teardown(fn: () => void): void };

/** An event without the times and numbers that depend on others. */
function gist({ container: _container, time: _time, sequence: _sequence, ...rest }: Heard): object {
  return rest;
}

t.test("a health change is published with container, time, number and reason, and each change once", async (t) => {
  const clock = new FakeClock();
  let isDown = false;
  const answer = (): void => {
    if (isDown) throw new Error("no route to host");
  };
  const db = resource("db", { start: () => ({}), probe: answer });
  const heard = hear(t, "shop", "health");
  const before = clock.wallNow();
  await using running = await container([db], { clock, name: "shop" }).start();
  isDown = true;
  for (let i = 0; i < 5; i++) await running.probe();
  isDown = false;
  for (let i = 0; i < 5; i++) await running.probe();
  t.same(heard.map(gist), [
    { resource: "db", from: "unknown", to: "healthy", reason: undefined },
    { resource: "db", from: "healthy", to: "unhealthy", reason: "3 probes in a row failed: no route to host" },
    { resource: "db", from: "unhealthy", to: "healthy", reason: undefined },
  ]);
  t.same(
    heard.map(({ container, sequence }) => [container, sequence]),
    [
      ["shop", 1],
      ["shop", 2],
      ["shop", 3],
    ],
  );
  t.ok(heard.every(({ time }) => time >= before && time <= clock.wallNow()));
});

t.test("an optional resource that is down, and comes up later, is published too", async (t) => {
  const clock = new FakeClock();
  let isUp = false;
  const cache = resource("cache", {
    criticality: "optional",
    start: () => {
      if (!isUp) throw new Error("refused");
      return {};
    },
  });
  const heard = hear(t, "late", "health");
  await using _running = await container([cache], { clock, name: "late" }).start();
  isUp = true;
  await clock.advance(60_000);
  t.same(heard.map(gist), [
    { resource: "cache", from: "unknown", to: "unhealthy", reason: "it did not start: refused" },
    { resource: "cache", from: "unhealthy", to: "healthy", reason: undefined },
  ]);
});

t.test("a restart is published when it begins, and when it has ended or failed", async (t) => {
  const clock = new FakeClock();
  let starts = 0;
  const db = resource("db", {
    start: async () => {
      if (++starts === 3) throw new Error("wrong password");
      await clock.sleep(starts * 100);
      return {};
    },
  });
  const heard = hear(t, "again", "restart");
  const starting = container([db], { clock, name: "again" }).start();
  await clock.advance(1_000);
  await using running = await starting;
  const restarting = running.restart(db);
  await clock.advance(1_000);
  await restarting;
  const failure = await running.restart(db).catch((error: unknown) => error);
  t.same(heard.map(gist), [
    { resource: "db", step: "began", durationMs: 0, error: undefined },
    { resource: "db", step: "ended", durationMs: 200, error: undefined },
    { resource: "db", step: "began", durationMs: 0, error: undefined },
    { resource: "db", step: "failed", durationMs: 0, error: failure },
  ]);
});

t.test("each phase of a shutdown is published once, with the time since the first and what failed", async (t) => {
  const clock = new FakeClock();
  const db = resource("db", {
    start: () => ({}),
    drain: () => clock.sleep(200),
    stop: async () => {
      await clock.sleep(50);
      throw new Error("stuck");
    },
  });
  const heard = hear(t, "leaving", "shutdown");
  const running = await container([db], { clock, name: "leaving" }).start();
  announceShutdown(running);
  announceShutdown(running);
  await clock.advance(1_000);
  const stopped = Promise.all([1, 2].map(() => running.stop().catch((error: unknown) => error)));
  await clock.advance(1_000);
  const [failure] = await stopped;
  t.same(heard.map(gist), [
    { phase: "announced", durationMs: 0, error: undefined },
    { phase: "draining", durationMs: 1_000, error: undefined },
    { phase: "stopping", durationMs: 1_200, error: undefined },
    { phase: "stopped", durationMs: 1_250, error: failure },
  ]);
});

t.test("the numbers show the order of events of several channels", async (t) => {
  const clock = new FakeClock();
  const job = resource("job", { run: async () => clock.sleep(10), rerun: { maxReruns: 0 } });
  const heard = hear(t, "order", "background", "health", "restart", "shutdown");
  const running = await container([job], { clock, name: "order" }).start();
  await clock.advance(10);
  await running.stop();
  t.same(
    heard.map(({ sequence }) => sequence),
    heard.map((_, i) => i + 1),
  );
  t.match(heard.map(gist), [
    { from: "unknown", to: "healthy" },
    { to: "unhealthy", reason: /its background work returned/ },
    { againInMs: undefined },
    { phase: "draining" },
    { phase: "stopping" },
    { phase: "stopped" },
  ]);
});

t.test("the reference lists every channel", async (t) => {
  const reference = await readFile(new URL("../../REFERENCE.md", import.meta.url), "utf8");
  for (const [key, name] of Object.entries(CHANNELS)) t.ok(reference.includes(`| \`${key}\` | \`${name}\` |`), name);
});
