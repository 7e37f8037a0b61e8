import t from "tap";
import { checkOptions } from "../src/driver.ts";
import { reconnectSchema } from "../src/options/reconnect.ts";
import { aborted } from "../src/time/abort.ts";
import { backoffMs } from "../src/time/backoff.ts";

const bounds = { minMs: 100, maxMs: 1_000 };

t.test("ceilings double up to the longest pause, and never overflow", async (t) => {
  const ceilings = [0, 1, 2, 3, 4, 2_000].map((attempt) => backoffMs(attempt, bounds, "equal", () => 0));
  t.same(ceilings, [100, 200, 400, 800, 1_000, 1_000]);
  t.equal(backoffMs(2_000, { minMs: 0, maxMs: 1_000 }, "equal"), 0, "no pause stays none, however often it doubles");
});

t.test("full jitter goes down to nothing, equal jitter to half", async (t) => {
  t.equal(
    backoffMs(1, bounds, "full", () => 0),
    0,
  );
  t.equal(
    backoffMs(1, bounds, "full", () => 0.5),
    100,
  );
  t.equal(
    backoffMs(1, bounds, "equal", () => 0.5),
    150,
  );
  for (let i = 0; i < 1_000; i++) {
    const pause = backoffMs(9, bounds, "equal");
    t.ok(pause > 500 && pause <= 1_000, String(pause));
  }
});

t.test("pauses between attempts to connect have defaults, and bounds that fit together", async (t) => {
  const check = (given: unknown): unknown => checkOptions("db", reconnectSchema(bounds), given);
  t.same(check({}), bounds);
  t.same(check({ maxMs: 100 }), { minMs: 100, maxMs: 100 });
  t.throws(() => check({ minMs: 2_000 }), { message: /maxMs must not be shorter than minMs/ });
  t.throws(() => check({ minMS: 5 }), { message: /did you mean "minMs"/ });
  t.throws(() => check({ minMs: Number.NaN }), { code: "OPTIONS_INVALID" });
});

t.test("an abort as a promise resolves also where it came before", async (t) => {
  const controller = new AbortController();
  const later = aborted(controller.signal);
  controller.abort();
  await later;
  await aborted(controller.signal);
  t.pass("both");
});
