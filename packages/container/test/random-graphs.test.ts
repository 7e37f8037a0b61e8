import { isStewardError, resource, type Definition } from "@steward/core";
import { FakeClock } from "@steward/testing";
import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { container } from "../src/index.ts";

interface Shape {
  readonly startMs: number;
  readonly stopMs: number;
  readonly needs: readonly number[];
  readonly fails: boolean;
  readonly deaf: boolean;
}

const shape = fc.record({
  startMs: fc.integer({ min: 0, max: 50 }),
  stopMs: fc.integer({ min: 0, max: 50 }),
  needs: fc.array(fc.nat(), { maxLength: 4 }),
  fails: fc.boolean().map((odd) => odd),
  deaf: fc.boolean(),
});

/** What happened to each node, and every rule that was broken. */
class Ledger {
  readonly up = new Set<number>();
  readonly broken: string[] = [];
  inFlight = 0;
  started = 0;

  starting(needs: readonly number[], i: number): void {
    this.inFlight++;
    for (const need of needs) if (!this.up.has(need)) this.broken.push(`${i} started before its need ${need}`);
  }

  stopping(dependants: readonly number[], i: number): void {
    if (!this.up.has(i)) this.broken.push(`${i} was stopped but is not up`);
    for (const dependant of dependants)
      if (this.up.has(dependant)) this.broken.push(`${i} stopped before ${dependant}, which needs it`);
  }
}

function build(
  clock: FakeClock,
  shapes: readonly Shape[],
  failing: number | undefined,
): { definitions: Definition<number>[]; ledger: Ledger } {
  const ledger = new Ledger();
  const needsOf = shapes.map((s, i) => [...new Set(i === 0 ? [] : s.needs.map((n) => n % i))]);
  const dependantsOf = shapes.map((_, i) => needsOf.flatMap((needs, j) => (needs.includes(i) ? [j] : [])));
  const definitions: Definition<number>[] = [];
  for (const [i, s] of shapes.entries()) {
    const needs = Object.fromEntries((needsOf[i] ?? []).map((n) => [`n${n}`, definitions[n] as Definition<number>]));
    const start = async (_: unknown, { signal }: { readonly signal: AbortSignal }): Promise<number> => {
      ledger.starting(needsOf[i] ?? [], i);
      try {
        await clock.sleep(s.startMs, s.deaf ? undefined : signal);
      } finally {
        ledger.inFlight--;
      }
      if (i === failing) throw new Error(`node ${i}`);
      ledger.up.add(i);
      ledger.started++;
      return i;
    };
    const stop = async (): Promise<void> => {
      ledger.stopping(dependantsOf[i] ?? [], i);
      await clock.sleep(s.stopMs);
      ledger.up.delete(i);
    };
    definitions.push(resource(`node${i}`, { needs, start, stop }));
  }
  return { definitions, ledger };
}

t.test("random graphs start and stop in order and keep nothing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(shape, { minLength: 1, maxLength: 30, size: "max" }), async (shapes) => {
      const clock = new FakeClock();
      const { definitions, ledger } = build(clock, shapes, undefined);
      const running = await clock.runUntil(container(definitions, { clock }).start());
      assert.equal(ledger.up.size, shapes.length);
      await clock.runUntil(running.stop());
      assert.deepEqual(ledger.broken, []);
      assert.equal(ledger.up.size, 0);
      assert.equal(clock.holding, 0);
    }),
    { numRuns: 200 },
  );
});

t.test("random graphs with a failing node reject with nothing up and nothing in flight", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(shape, { minLength: 1, maxLength: 30, size: "max" }), fc.nat(), async (shapes, at) => {
      const clock = new FakeClock();
      const { definitions, ledger } = build(clock, shapes, at % shapes.length);
      const error = await clock.runUntil(
        container(definitions, { clock })
          .start()
          .then(
            () => undefined,
            (thrown: unknown) => thrown,
          ),
      );
      assert.ok(isStewardError(error, "START_FAILED"));
      assert.equal(error.resource, `node${at % shapes.length}`);
      assert.deepEqual(ledger.broken, []);
      assert.equal(ledger.up.size, 0, "nothing is up");
      assert.equal(ledger.inFlight, 0, "nothing is in flight");
      assert.equal(clock.holding, 0);
    }),
    { numRuns: 200 },
  );
});
