import { cached, input, lazy, resource } from "@steward/core";
import { FakeClock, rounds } from "@steward/testing";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import t from "tap";
import { container } from "../src/index.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Growth of the heap by so many calls, in bytes, after some to warm up. */
async function growth(calls: number, call: (i: number) => Promise<unknown>): Promise<number> {
  const run = async (count: number): Promise<number> => {
    for (let i = 0; i < count; i++) await call(i);
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      collect();
    }
    return process.memoryUsage().heapUsed;
  };
  const before = await run(calls / 20);
  return (await run(calls)) - before;
}

const MEGABYTE = 1 << 20;
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
