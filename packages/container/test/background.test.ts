import { subscribe, unsubscribe } from "node:diagnostics_channel";
import t from "tap";
import { CHANNELS, resource, type BackgroundEvent, type RerunOptions } from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import { container, healthEndpoints, runMain } from "../src/index.ts";
import { FakeProcess } from "./fake-process.ts";

/** A consumer that loses its broker `afterMs` after each start of its work. */
function flaky(
  given: {
    rerun?: RerunOptions;
    afterMs?: number;
    criticality?: "critical" | "optional";
    end?: () => void | Promise<never>;
  } = {},
) {
  const {
    rerun,
    afterMs = 100,
    criticality = "critical",
    end = () => Promise.reject(new Error("lost the broker")),
  } = given;
  const clock = new FakeClock();
  const runs: number[] = [];
  const log: string[] = [];
  const db = resource("db", { start: () => "db", stop: () => void log.push("db stops") });
  const consumer = resource("consumer", {
    needs: { db },
    criticality,
    ...(rerun === undefined ? {} : { rerun }),
    run: async (_needs, { signal }) => {
      runs.push(clock.now());
      await clock.sleep(afterMs, signal);
      await end();
    },
    stop: () => void log.push("consumer stops"),
  });
  const app = container([consumer], { clock, name: "shop" });
  return { clock, runs, log, app };
}

t.test(
  "background work that throws is announced at once, with its cause, and makes the resource unhealthy",
  async (t) => {
    const { clock, app, runs } = flaky();
    const published: unknown[] = [];
    const listen = (event: unknown): void => void published.push(event);
    subscribe(CHANNELS.background, listen);
    t.teardown(() => unsubscribe(CHANNELS.background, listen));
    const heard: BackgroundEvent[] = [];
    const before = clock.wallNow();
    const running = await app.start([], { onBackgroundEnd: (event) => heard.push(event) });
    t.equal(running.health().status, "healthy");
    await clock.advance(100);
    t.match(heard, [
      {
        container: "shop",
        resource: "consumer",
        error: {
          code: "BACKGROUND_ENDED",
          resource: "consumer",
          message:
            /^consumer: its background work failed: lost the broker; it runs again in \d+ ms \(end 1 within 60000 ms, limit 6\)$/,
          cause: { message: "lost the broker" },
        },
      },
    ]);
    t.strictSame(published, heard);
    const [event] = heard;
    t.ok(event !== undefined && event.time >= before && event.time <= clock.wallNow());
    t.ok(event?.againInMs !== undefined && event.againInMs >= 500 && event.againInMs <= 1_000, `${event?.againInMs}`);
    t.match(running.health(), {
      status: "unhealthy",
      resources: [
        { name: "consumer", status: "unhealthy", reason: /lost the broker/ },
        { name: "db", status: "healthy" },
      ],
    });
    t.equal(healthEndpoints(running)("GET", "/readyz")?.status, 503);
    t.equal(runs.length, 1);
    await running.stop();
  },
);

t.test("it runs again after a delay, is degraded for as long as the end counts, and then healthy", async (t) => {
  let broken = true;
  const { clock, app, runs } = flaky({
    end: () => (broken ? Promise.reject(new Error("lost the broker")) : (clock.sleep(1e9) as Promise<never>)),
  });
  const running = await app.start();
  await clock.advance(100);
  broken = false;
  await clock.advance(1_000);
  t.equal(runs.length, 2);
  t.match(running.health(), {
    status: "degraded",
    resources: [{ name: "consumer", status: "degraded", reason: /^it runs again; before that: .*lost the broker/ }, {}],
  });
  t.equal(healthEndpoints(running)("GET", "/readyz")?.status, 200);
  await clock.advance(59_000);
  t.equal(running.health().status, "healthy");
  t.equal(runs.length, 2);
});

t.test("work that returns unasked counts as ended too", async (t) => {
  const heard: BackgroundEvent[] = [];
  const { clock, app } = flaky({ end: () => {} });
  const running = await app.start([], { onBackgroundEnd: (event) => heard.push(event) });
  await clock.advance(100);
  t.match(heard[0]?.error.message, /its background work returned before it was asked to end/);
  t.equal(heard[0]?.error.cause, undefined);
  t.notOk("cause" in (heard[0]?.error ?? { cause: 1 }));
  await running.stop();
});

t.test("work that throws before its first await counts as ended, not as a failed start", async (t) => {
  const heard: BackgroundEvent[] = [];
  const clock = new FakeClock();
  const worker = resource("worker", {
    run: () => {
      throw new Error("no topic");
    },
  });
  const running = await container([worker], { clock }).start([], { onBackgroundEnd: (event) => heard.push(event) });
  await clock.settle();
  t.match(heard[0]?.error.message, /failed: no topic/);
  await running.stop();
});

t.test("delays double, and past five reruns in a minute it is not run again", async (t) => {
  const heard: BackgroundEvent[] = [];
  const { clock, app, runs } = flaky({ afterMs: 1 });
  const running = await app.start([], { onBackgroundEnd: (event) => heard.push(event) });
  await clock.advance(300_000);
  t.equal(runs.length, 6);
  const delays = heard.map(({ againInMs }) => againInMs);
  for (const [i, ceiling] of [1_000, 2_000, 4_000, 8_000, 16_000].entries())
    t.ok((delays[i] ?? 0) >= ceiling / 2 && (delays[i] ?? 0) <= ceiling, `${delays[i]} of at most ${ceiling} ms`);
  t.equal(delays[5], undefined);
  t.match(
    heard[5]?.error.message,
    /lost the broker; it is not run again, because 5 reruns within 60000 ms are the limit$/,
  );
  t.match(running.health(), { status: "unhealthy", resources: [{ name: "consumer", reason: /is not run again/ }, {}] });
  await running.stop();
  t.equal(clock.pending, 0);
});

t.test("ends that lie apart by more than the period are no reason to give up", async (t) => {
  const { clock, app, runs } = flaky({ afterMs: 11_000, rerun: { maxReruns: 5, withinMs: 50_000, baseDelayMs: 100 } });
  const running = await app.start();
  await clock.advance(3_600_000);
  t.ok(runs.length > 250, `${runs.length} runs in an hour`);
  await running.stop();
});

t.test("the limit can be set, to none at all too, and so can what happens past it", async (t) => {
  const once = flaky({ rerun: { maxReruns: 0 } });
  const running = await once.app.start();
  await once.clock.advance(100_000);
  t.equal(once.runs.length, 1);
  await running.stop();

  const forEver = flaky({
    afterMs: 1,
    rerun: { maxReruns: 1, baseDelayMs: 10, maxDelayMs: 1_000, afterLimit: "keep-trying" },
  });
  const other = await forEver.app.start();
  await forEver.clock.advance(60_000);
  t.ok(forEver.runs.length >= 58 && forEver.runs.length <= 61, `${forEver.runs.length} runs in a minute`);
  await other.stop();

  const optional = flaky({ afterMs: 1, criticality: "optional" });
  const third = await optional.app.start();
  await optional.clock.advance(600_000);
  t.ok(optional.runs.length > 20, "what may be down is tried for ever");
  t.equal(third.health().status, "degraded");
  await third.stop();
});

t.test("a stop ends work that waits to run again, and what it throws then is not reported", async (t) => {
  const heard: unknown[] = [];
  const { clock, app, runs, log } = flaky();
  const running = await app.start([], { onBackgroundEnd: (event) => heard.push(event) });
  await clock.advance(100);
  await running.stop();
  t.strictSame(log, ["consumer stops", "db stops"]);
  await clock.advance(60_000);
  t.equal(runs.length, 1);
  t.equal(heard.length, 1);
  t.equal(clock.pending, 0);

  const other = flaky({ afterMs: 1_000 });
  const second = await other.app.start([], { onBackgroundEnd: (event) => heard.push(event) });
  await second.stop();
  t.equal(heard.length, 1, "it was asked to end");
});

t.test(
  "a process whose background work keeps ending says why each time, stops in order and exits with 1",
  async (t) => {
    const { clock, app, log } = flaky({ afterMs: 1 });
    const proc = new FakeProcess();
    const reasons: string[] = [];
    const code = runMain(app, { clock, process: proc, onShutdown: ({ reason }) => reasons.push(reason) });
    t.equal(await clock.runUntil(code), 1);
    t.strictSame(reasons, ["background ended"]);
    t.strictSame(log, ["consumer stops", "db stops"]);
    t.equal(proc.written.length, 6);
    t.match(
      proc.written[0],
      /^BACKGROUND_ENDED: consumer: its background work failed: lost the broker; it runs again in/,
    );
    t.match(proc.written[0], /\n +Error: lost the broker\n +at /, "with the stack of what it threw");
    t.match(proc.written[5], /it is not run again/);
    t.strictSame(proc.exits, [1]);
  },
);

t.test("onError hears every end, and an own limit may keep the process alive", async (t) => {
  const { clock, app } = flaky({ afterMs: 1, rerun: { maxReruns: 2, maxDelayMs: 500, afterLimit: "keep-trying" } });
  const proc = new FakeProcess();
  const errors: unknown[] = [];
  const code = runMain(app, { clock, process: proc, onError: (error) => errors.push(error) });
  await clock.advance(10_000);
  t.ok(errors.length > 15, `${errors.length} ends`);
  t.match(errors[0], { code: "BACKGROUND_ENDED", cause: { message: "lost the broker" } });
  t.strictSame(proc.exits, []);
  proc.send("SIGINT");
  t.equal(await clock.runUntil(code), 0);
});

t.test("a listener that fails ends neither the reruns nor the stop", async (t) => {
  const { clock, app, runs } = flaky({ afterMs: 1 });
  const uncaught: unknown[] = [];
  const catches = (error: unknown): void => void uncaught.push(error);
  const others = process.rawListeners("uncaughtException") as NodeJS.UncaughtExceptionListener[]; // they are that event's
  process.removeAllListeners("uncaughtException").once("uncaughtException", catches);
  t.teardown(() => others.forEach((listener) => process.on("uncaughtException", listener)));
  const running = await app.start([], {
    onBackgroundEnd: () => {
      throw new Error("the listener broke");
    },
  });
  await clock.advance(1);
  process.on("uncaughtException", catches);
  await clock.advance(2_000);
  process.removeListener("uncaughtException", catches);
  t.match(uncaught[0], { message: "the listener broke" });
  t.ok(runs.length >= 2);
  await running.stop().catch(() => {});
});
