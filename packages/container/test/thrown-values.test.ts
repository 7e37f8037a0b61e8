import t from "tap";
import { resource } from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import { failure } from "@steward/testing";
import { container } from "../src/index.ts";

const TEXT = "something that cannot be shown as text";

/** As `JSON.parse` with a reviver, parsers of query strings and some libraries make their objects. */
const bare = (): unknown => Object.create(null);

const base = (stopped: string[]) => resource("base", { start: () => "base", stop: () => void stopped.push("base") });

t.test("a start that throws what has no text fails as any other, and stops what had started", async (t) => {
  const stopped: string[] = [];
  const db = resource("db", { needs: { base: base(stopped) }, start: () => Promise.reject(bare()) });
  t.match(await failure(container([db]).start()), { code: "START_FAILED", message: TEXT });
  t.same(stopped, ["base"]);
});

t.test("a stop that throws what has no text is named, and the rest is stopped", async (t) => {
  const stopped: string[] = [];
  const db = resource("db", {
    needs: { base: base(stopped) },
    start: () => "db",
    stop: () => Promise.reject(bare()),
  });
  const running = await container([db]).start();
  t.match(await failure(running.stop()), { code: "STOP_FAILED", message: TEXT });
  t.same(stopped, ["base"]);
});

t.test("background work that throws what has no text is announced, is unhealthy, and runs again", async (t) => {
  const clock = new FakeClock();
  let runs = 0;
  const consumer = resource("consumer", {
    run: (_needs, { signal }) => (++runs === 1 ? Promise.reject(bare()) : clock.sleep(60_000, signal)),
  });
  const ends: string[] = [];
  const app = container([consumer], { clock });
  const running = await app.start([], { onBackgroundEnd: ({ error }) => void ends.push(String(error)) });
  await clock.advance(0);
  t.match(ends, [TEXT]);
  t.equal(running.health().status, "unhealthy");
  await clock.advance(2_000);
  t.equal(runs, 2);
  await clock.runUntil(running.stop());
});

t.test("a probe that throws what has no text makes its resource unhealthy", async (t) => {
  const clock = new FakeClock();
  const cache = resource("cache", { start: () => "cache", probe: () => Promise.reject(bare()) });
  const running = await container([cache], { clock, health: { intervalMs: 100, timeoutMs: 50 } }).start();
  await clock.advance(1_000);
  t.equal(running.health().status, "unhealthy");
  await clock.runUntil(running.stop());
});

t.test("the cleanup of a scope may throw what has no text beside a handler that does", async (t) => {
  const unit = resource("unit", { lifetime: "request", start: () => 1, stop: () => Promise.reject(new Error("stop")) });
  const running = await container([unit]).start();
  const error = await failure(running.scope([], { unit }, () => Promise.reject(bare())));
  t.match(error, { name: "SuppressedError", message: TEXT });
  await running.stop();
});

t.test("what a cleanup throws that is no error is attached to the handler's error as it is", async (t) => {
  for (const thrown of ["text", 1, null, undefined]) {
    const unit = resource("unit", { lifetime: "request", start: () => 1, stop: () => Promise.reject(thrown) });
    await using running = await container([unit]).start();
    const cause = new Error("the real cause");
    const error = await failure(running.scope([], { unit }, () => Promise.reject(cause)));
    t.equal(error, cause);
    t.ok(Object.hasOwn(cause, "suppressed"));
    t.equal((cause as Error & { suppressed?: unknown }).suppressed, thrown);
  }
});

t.test("a cleanup may throw an error that is its own cause beside a handler that fails", async (t) => {
  const circle = new Error("a circle");
  circle.cause = new Error("half of it", { cause: circle });
  const unit = resource("unit", { lifetime: "request", start: () => 1, stop: () => Promise.reject(circle) });
  await using running = await container([unit]).start();
  const cause = new Error("the real cause");
  const error = await failure(running.scope([], { unit }, () => Promise.reject(cause)));
  t.equal(error, cause);
  t.equal((cause as Error & { suppressed?: unknown }).suppressed, circle);
});

t.test("a stop that fails with nothing is named as any other", async (t) => {
  const db = resource("db", { start: () => "db", stop: () => Promise.reject() });
  const running = await container([db]).start();
  t.match(await failure(running.stop()), { code: "STOP_FAILED", failures: [{ resource: "db", phase: "stop" }] });
  const pool = resource("pool", {
    async *start() {
      yield "pool";
      await Promise.reject();
    },
  });
  const second = await container([pool]).start();
  await second.restart(pool);
  t.match(await failure(second.stop()), { failures: [{ resource: "pool" }, { resource: "pool" }] });
});

t.test(
  "a probe that fails with nothing, or with what looks like a promise, makes its resource unhealthy",
  async (t) => {
    const looksLikeOne = {
      // oxlint-disable-next-line unicorn/no-thenable -- that is the point
      then() {
        throw new Error("it was taken for a promise");
      },
    };
    for (const probe of [() => Promise.reject(), () => Promise.reject(looksLikeOne)]) {
      const clock = new FakeClock();
      const cache = resource("cache", { start: () => "cache", probe });
      const running = await container([cache], { clock, health: { intervalMs: 100, timeoutMs: 50 } }).start();
      await clock.advance(1_000);
      t.equal(running.health().status, "unhealthy");
      await t.rejects(
        running.probe().then(({ resources }) => Promise.reject(new Error(resources[0]?.status))),
        {
          message: "unhealthy",
        },
      );
      await clock.runUntil(running.stop());
    }
  },
);
