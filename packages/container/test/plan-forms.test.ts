import { container } from "../src/index.ts";
import { current, fresh, input, optional, resource, type Definition } from "@steward/core";
import type { Needs } from "@steward/core/container";
import { rounds } from "@steward/testing";
import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";

/** One step of a random scope: how it is made, how it ends, and what it needs of the steps before it. */
interface Shape {
  readonly form: "plain" | "async" | "generator" | "async generator" | "stopped" | "fails" | "nothing";
  readonly lifetime: "request" | "handler" | "transient";
  readonly needs: readonly (readonly [number, "plain" | "fresh" | "optional" | "current"])[];
}

const shape: fc.Arbitrary<Shape> = fc.record({
  form: fc.constantFrom("plain", "async", "generator", "async generator", "stopped", "nothing", "plain", "fails"),
  lifetime: fc.constantFrom("request", "handler", "request", "transient"),
  needs: fc.array(fc.tuple(fc.nat(), fc.constantFrom("plain", "fresh", "optional", "current")), { maxLength: 4 }),
});

const id = input<number>()("id", { lifetime: "request" });
const KEYS = ["plain", "__proto__", 'quo"te\n', "with space", "constructor"];
type Any = Definition<unknown, "handler">;

/** The definitions of random shapes, and what they log when they are used. */
function build(shapes: readonly Shape[], log: string[]): Any[] {
  const pool = resource("pool", { start: () => "pool" });
  const off = resource("off", { enabled: false, start: () => "off" });
  const made: Any[] = [pool as never, id as never, optional(off) as never];
  for (const [i, one] of shapes.entries()) made.push(define(`step${i}`, one, made, log));
  return made;
}

function define(name: string, { form, lifetime, needs: wanted }: Shape, earlier: readonly Any[], log: string[]): Any {
  const needs: Record<string, unknown> = {};
  for (const [k, [at, edge]] of wanted.entries()) {
    const target = earlier[at % earlier.length] as Any;
    const isDefinition = "lifetime" in target;
    // A request does not outlive what a handler has; a definition of the container may stand anywhere.
    const isShorter =
      isDefinition && lifetime !== "handler" && lifetime !== "transient" && target.lifetime === "handler";
    if (isShorter || target.lifetime === ("transient" as never)) continue;
    const make = { plain: (need: Any) => need, fresh, optional, current }[edge] as (need: Any) => unknown;
    Object.defineProperty(needs, KEYS[k] ?? "", {
      value: isDefinition && !((target as unknown) === id && edge === "fresh") ? make(target) : target,
      enumerable: true,
    });
  }
  const enter = (values: object): string => {
    log.push(`${name} of ${JSON.stringify(Object.entries(values))}`);
    if (form === "fails") throw new Error(`${name} fails`);
    return name;
  };
  const left = (): void => void log.push(`${name} ends`);
  const starts = {
    plain: enter,
    fails: enter,
    stopped: enter,
    nothing: (values: object) => void enter(values),
    async: async (values: object) => enter(values),
    *generator(values: object) {
      yield enter(values);
      left();
    },
    async *"async generator"(values: object) {
      yield enter(values);
      left();
    },
  };
  const stop = form === "stopped" ? { stop: left } : {};
  return resource(name, { lifetime, needs: needs as Needs, start: starts[form], ...stop } as never);
}

/** How often code was generated meanwhile. */
async function generated(work: () => Promise<void>): Promise<number> {
  let count = 0;
  const original = globalThis.Function;
  globalThis.Function = new Proxy(original, {
    construct: (target, args: string[]) => {
      count++;
      return new target(...args);
    },
  });
  try {
    await work();
  } finally {
    globalThis.Function = original;
  }
  return count;
}

t.test("a plan does the same step by step and as generated code, whatever its graph", async (t) => {
  let compiled = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(shape, { minLength: 1, maxLength: 9 }), async (shapes) => {
      const log: string[] = [];
      const made = build(shapes, log);
      const scoped = made.slice(3);
      await using running = await container([made[0] as never, ...scoped] as never).start();
      const needs = { last: scoped.at(-1), first: scoped[0] };
      const runs: string[] = [];
      const run = async (): Promise<void> => {
        log.length = 0;
        const work = (values: object): string => JSON.stringify(values);
        const done = running.scope([id.is(7)] as never, needs as never, work as never);
        const outcome = await (done as Promise<unknown>).catch((error: unknown) => String(error));
        runs.push(`${log.join("; ")} => ${String(outcome)}`);
      };
      compiled += await generated(async () => {
        for (let i = 0; i < 25; i++) await run();
      });
      assert.equal(new Set(runs).size, 1, [...new Set(runs)].join("\n"));
    }),
    { numRuns: rounds(300) },
  );
  t.ok(compiled >= rounds(300) / 2, `${compiled} plans were compiled`);
});
