import { container } from "@steward/container";
import { resource } from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import t from "tap";
import { HttpError, shedding } from "../src/index.ts";

t.test("a route that can wait is refused once the loop has been too busy for a time, until it is not", async (t) => {
  const clock = new FakeClock();
  let busy = 0.95;
  let reads = 0;
  const can = shedding({
    clock,
    forMs: 1_000,
    retryAfterMs: 1_500,
    utilisation: () => {
      reads++;
      return busy;
    },
  });
  await using running = await container([resource("one", { start: () => 1 })]).start();
  const ask = () => running.scope([], { can }, ({ can }) => can.utilisation);
  t.equal(await ask(), 0, "nothing is known yet");
  await clock.advance(900);
  t.equal(await ask(), 0.95, "too busy, but not for long");
  await clock.advance(99);
  t.equal(await ask(), 0.95);
  t.equal(reads, 1, "it measures every 100 ms at most");
  await clock.advance(1);
  const refusal = await ask().catch((error: unknown) => error);
  t.ok(refusal instanceof HttpError);
  t.match(refusal, { statusCode: 503, code: "OVERLOADED", headers: { "retry-after": "2" } });
  busy = 0.9;
  await clock.advance(100);
  t.equal(await ask(), 0.9, "it is well at once");
  busy = 0.95;
  await clock.advance(100);
  t.equal(await ask(), 0.95, "and the time begins anew");
  t.equal(clock.pending, 0, "it runs nothing by itself");
});

t.test("how busy the loop of this thread is decides where nothing else is given", async (t) => {
  const can = shedding({ maxUtilisation: 0.5, forMs: 0 });
  await using running = await container([resource("one", { start: () => 1 })]).start();
  const ask = () => running.scope([], { can }, () => "let in");
  for (const until = performance.now() + 150; performance.now() < until;);
  t.match(await ask().catch((error: unknown) => error), { statusCode: 503 });
  for (const options of [{ maxUtilisation: 0 }, { maxUtilisation: 1 }, { forMs: -1 }, { priority: 1 }])
    t.throws(() => shedding(options as never), { code: "OPTIONS_INVALID" });
});
