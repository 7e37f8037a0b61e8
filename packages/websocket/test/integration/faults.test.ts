import { connect } from "node:net";
import { isStewardError, systemClock, type Clock } from "@steward/core";
import { Alarm, failure, until, type FaultProxy, Load, trackHandles } from "@steward/testing";
import t from "tap";
import { hubFor, proxyFor, rawClient, sessionsFor } from "../setup.ts";

const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

/** A call has a deadline of 2 s, and timers are not exact. */
const LATE_MS = 2_400;

async function scene(t: Parameters<typeof hubFor>[0]): Promise<{ proxy: FaultProxy; load: Load }> {
  const hub = await hubFor(t, { call: (body) => body, messagesPerSecond: 0 });
  const proxy = await proxyFor(t, hub.url);
  const { client } = await sessionsFor(t, { url: proxy.url });
  const load = await Load.begin(200, () => client.call("x"), LATE_MS);
  await load.run(300);
  return { proxy, load };
}

t.test(
  "half-open: only what was in flight fails, all is well again, no call takes longer than its deadline",
  async (t) => {
    const { proxy, load } = await scene(t);
    const broken = performance.now();
    proxy.halfOpen();
    t.ok(await load.runUntilWell(broken));
    t.equal(await load.end(), 0);
    t.ok(load.failures.length > 0);
    const known = Math.min(...load.failures.map(({ ended }) => ended));
    t.strictSame(
      load.failed(known).map(({ code }) => code),
      [],
      "what began after the first error was known",
    );
    t.strictSame(load.late, []);
  },
);

t.test("blackhole: no call takes longer than its deadline, and all is well again after it heals", async (t) => {
  const { proxy, load } = await scene(t);
  proxy.blackhole();
  await load.run(3_000);
  await proxy.heal();
  t.ok(await load.runUntilWell(performance.now()));
  t.equal(await load.end(), 0);
  t.ok(load.failures.length > 0);
  t.strictSame(load.late, []);
});

t.test("a reset costs what is in flight and is mended at once", async (t) => {
  const { proxy, load } = await scene(t);
  const broken = performance.now();
  proxy.reset();
  t.ok(await load.runUntilWell(broken));
  t.equal(await load.end(), 0);
  t.ok(load.failed().length <= load.rate / 2, `${load.failed().length} calls were lost`);
});

t.test("a drain of the hub loses no acknowledged message, and none is handled twice", async (t) => {
  const handled = new Map<number, number>();
  const acknowledged = new Set<number>();
  const call = async (body: unknown): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 2));
    handled.set(Number(body), (handled.get(Number(body)) ?? 0) + 1);
  };
  const a = await hubFor(t, { call, drainSpreadMs: 300, messagesPerSecond: 0 });
  const b = await hubFor(t, { call, messagesPerSecond: 0 });
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => sessionsFor(t, { url: [a.url, b.url], reconnect: { maxMs: 200 } })),
  );
  let next = 0;
  let lost = 0;
  const over = performance.now() + 1_200;
  const work = clients.map(async ({ client }) => {
    while (performance.now() < over || acknowledged.size <= 100) {
      const id = next++;
      try {
        await client.call(id);
        acknowledged.add(id);
      } catch (error) {
        lost++;
        t.ok(isStewardError(error), String(error));
        await client.ready();
      }
    }
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  await a.drain();
  await a.stop();
  await Promise.all(work);
  t.comment(`${acknowledged.size} acknowledged, ${lost} refused`);
  for (const id of acknowledged) if (handled.get(id) !== 1) t.fail(`${id} was handled ${handled.get(id)} times`);
  await until(() => b.client.sockets.size === 20, "all have come to the other one");
});

t.test("1,000 clients that are sent away come back spread over their pause", async (t) => {
  // The pauses are what is ours; when a busy process gets round to each is not.
  const pauses: number[] = [];
  const clock: Clock = {
    ...systemClock,
    setTimeout(callback, delayMs, options) {
      if (!Number.isInteger(delayMs) && delayMs < 2_000) pauses.push(delayMs); // only jitter has fractions
      return systemClock.setTimeout(callback, delayMs, options);
    },
  };
  const hub = await hubFor(t, { drainSpreadMs: 0 });
  // With a thousand at once none has less time than the machine takes.
  const connectTimeoutMs = 60_000;
  const options = { url: hub.url, maxSessions: 1_001, connectTimeoutMs, reconnect: { minMs: 2_000, maxMs: 2_000 } };
  const main = await sessionsFor(t, options, { clock });
  for (let i = 0; i < 1_000; i++) {
    main.client.session(String(i));
    if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await until(() => hub.client.sockets.size === 1_001, "all are in", 60_000);
  pauses.length = 0;
  let came = 0;
  hub.client.on("connection", () => came++);
  for (const socket of hub.client.sockets) socket.close(1001);
  await until(() => came >= 1_001 && hub.client.sockets.size === 1_001, "all are back", 60_000);
  const buckets = new Array<number>(20).fill(0);
  for (const ms of pauses) buckets[Math.floor(ms / 100)] = (buckets[Math.floor(ms / 100)] ?? 0) + 1;
  t.ok(pauses.length >= 1_001, `${pauses.length} pauses`);
  const most = Math.max(...buckets);
  t.ok(
    most <= pauses.length / 10,
    `at most ${most} of ${pauses.length} in a twentieth of the time: ${buckets.join(" ")}`,
  );
});

t.test("a client that is connected and asks for nothing delays no stop of a test's hub", async (t) => {
  const hub = await hubFor(t);
  const { hostname, port } = new URL(hub.url);
  const idle = connect(Number(port), hostname);
  t.teardown(() => idle.destroy());
  await rawClient(t, hub.url); // whoever came before it is in too
  using alarm = new Alarm(2_000);
  await hub.stop();
  t.notOk(alarm.hasRung);
});

t.test("a peer that is frozen delays neither the stop of sessions nor that of a hub", async (t) => {
  const hub = await hubFor(t, { closeTimeoutMs: 200 });
  const proxy = await proxyFor(t, hub.url);
  const sessions = await sessionsFor(t, { url: proxy.url, closeTimeoutMs: 200, timeoutMs: 300 });
  const raw = await rawClient(t, proxy.url);
  raw.pause();
  proxy.blackhole();
  const call = failure(sessions.client.call("x"));
  using alarm = new Alarm(2_000);
  await sessions.drain();
  await sessions.stop();
  await hub.stop();
  t.notOk(alarm.hasRung);
  t.ok(isStewardError(await call));
});
