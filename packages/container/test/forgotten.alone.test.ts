import { cached, current, input, lazy, resource } from "@steward/core";
import { FakeClock, rounds } from "@steward/testing";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import t from "tap";
import { container } from "../src/index.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as (options?: { readonly type: "minor" | "major" }) => void;

const MEGABYTE = 1 << 20;

/**
 * Growth of the heap by so many calls, in bytes, after some to warm up. What is too much is measured once more: code that V8
 * compiles meanwhile stands there too, once, and what is kept for each call comes again.
 */
async function growth(calls: number, call: (i: number) => Promise<unknown>): Promise<number> {
  let i = 0;
  const run = async (count: number): Promise<number> => {
    for (const end = i + count; i < end; i++) await call(i);
    for (let turn = 0; turn < 3; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      collect();
    }
    return process.memoryUsage().heapUsed;
  };
  const before = await run(calls / 20);
  const after = await run(calls);
  return after - before < MEGABYTE ? after - before : (await run(calls)) - after;
}

const config = resource("config", { start: () => ({}) });

const SCOPES = rounds(100_000);

t.test(`${SCOPES} scopes with definitions that are made for each keep nothing`, async (t) => {
  await using running = await container([config]).start();
  const grown = await growth(SCOPES, (i) => {
    const made = resource("made", { lifetime: "request", needs: { config }, start: () => i });
    return running.scope([], { made }, ({ made }) => made);
  });
  t.comment(`${grown} bytes`);
  t.ok(grown < MEGABYTE, `${grown} bytes`);
});

t.test("keys, inputs and edges that are made for each call are forgotten too", async (t) => {
  await using running = await container([config]).start();
  const grown = await growth(rounds(20_000), (i) => {
    const id = input<number>()("id", { lifetime: "request" });
    const view = resource("view", { lifetime: "request", needs: { id, later: lazy(config) }, start: ({ id }) => id });
    return running.scope([id.is(i)], { [`key${i}`]: view, config }, (values) => values);
  });
  const keys = await growth(rounds(20_000), (i) => running.scope([], { [`key${i}`]: config }, (values) => values));
  t.ok(grown < MEGABYTE && keys < MEGABYTE, `${grown} and ${keys} bytes`);
});

t.test("sessions, cached instances and overrides of a call are forgotten with it", async (t) => {
  const cart = resource("cart", { lifetime: "session", needs: { config }, start: () => ({}) });
  const clock = new FakeClock();
  const running = await container([config, cart], { clock, sessions: { max: 10 } }).start();
  const sessions = await growth(rounds(5_000), (i) => running.session(`u${i}`).get(cart));
  const overrides = await growth(rounds(5_000), async (i) => {
    using _override = running.override(config, { i });
    await running.scope([], { config }, () => 1);
  });
  const instances = await growth(rounds(2_000), async (i) => {
    const needs = { config: cached(config, { ttlMs: 1 + (i % 2) / 10 }) };
    await running.scope([], { made: resource("made", { lifetime: "request", needs, start: () => 1 }) }, () => 1);
    await clock.advance(2);
  });
  t.ok(
    sessions < MEGABYTE && overrides < MEGABYTE && instances < MEGABYTE,
    `${[sessions, overrides, instances].join()} bytes`,
  );
  await clock.runUntil(running.stop());
});

/** Heap after collections of young objects alone: one in full comes seldom, and until then all that is old stays. */
async function heapAfterYoung(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect({ type: "minor" });
  }
  return process.memoryUsage().heapUsed;
}

t.test("what a container held is gone with the next collection of young objects after its stop", async (t) => {
  const clock = new FakeClock(); // the runner notes every timer of Node, and with it what has set it
  const live = async (arrays: number): Promise<void> => {
    const load = resource("load", {
      start: (_, { signal }) => ({
        signal,
        all: Array.from({ length: arrays }, () => new Array<number>(5_000).fill(0)),
      }),
      stop: (_value, { signal }) => signal.throwIfAborted(),
    });
    const user = resource("user", { needs: { load: current(load) }, start: ({ load }) => load.current.all });
    const running = await container([user], { clock }).start();
    await running.stop();
  };
  for (let i = 0; i < 20; i++) await live(0);
  collect();
  const before = await heapAfterYoung();
  for (let i = 0; i < 100; i++) await live(8);
  const kept = (await heapAfterYoung()) - before;
  // 9 kB of each container, its functions, are old from the start in Node 20.
  t.ok(kept < 3 * MEGABYTE, `${kept} bytes of ${100 * 8 * 5_000 * 8}`);
});
