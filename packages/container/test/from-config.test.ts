import { container } from "../src/index.ts";
import { fromConfig, resource, type Definition } from "@steward/core";
import { defineDriver, Manager, type ManagerContext } from "@steward/core/driver";
import t from "tap";
import * as v from "valibot";

interface PoolOptions {
  readonly url: string;
  readonly maxConnections?: number | undefined;
}

class PoolManager extends Manager<PoolOptions> {
  override readonly client: PoolOptions;
  constructor(options: PoolOptions, context: ManagerContext) {
    super("pool", context);
    this.client = options;
  }
  protected override onStart(): void {}
  protected override onProbe(): void {}
  protected override onStop(): void {}
}

const pool = defineDriver<PoolOptions, PoolOptions>({
  kind: "pool",
  schema: v.strictObject({ url: v.string(), maxConnections: v.optional(v.pipe(v.number(), v.minValue(1))) }),
  create: (options, context) => new PoolManager(options, context),
});

const counter = (name: string, { from }: { readonly from: number }): Definition<{ readonly from: number }> =>
  resource(name, { start: () => ({ from }) });

const kinds = { pool, counter };

t.test("a plain object becomes typed definitions, by the factories that its kinds name", async (t) => {
  const made = fromConfig(kinds, {
    db: { kind: "pool", url: "pool://main", maxConnections: 5, criticality: "optional" },
    counts: { kind: "counter", from: 7 },
  });
  const db: Definition<PoolOptions> = made.db;
  await using running = await container(Object.values(made)).start();
  t.same(running.get(db), { url: "pool://main", maxConnections: 5 });
  t.equal(running.get(made.counts).from, 7);
  t.equal(running.health().resources.find(({ name }) => name === "db")?.criticality, "optional");
});

t.test("a configuration that was read from a file is checked alike", async (t) => {
  const config = JSON.parse(`{ "a": { "kind": "pool", "url": "pool://a" } }`) as Record<string, { kind: "pool" }>;
  const made = fromConfig(kinds, config);
  await using running = await container(Object.values(made)).start();
  t.same(running.byName("a"), { url: "pool://a" });
  const odd = JSON.parse(`{ "__proto__": { "kind": "pool", "url": "pool://b" } }`) as Record<string, { kind: "pool" }>;
  t.same(Object.keys(fromConfig(kinds, odd)), ["__proto__"], "a name like any other");
});

t.test("everything wrong in all resources is reported at once, with the nearest names", (t) => {
  const wrong = {
    db: { kind: "pol", url: "x" },
    other: { kind: "pool", url: 5, maxConection: 1 },
    more: { kind: "pool", url: "x", criticalty: "optional" },
    none: {},
    list: [],
    odd: { kind: "toString" },
  };
  let message = "";
  try {
    fromConfig(kinds, wrong as never);
  } catch (error) {
    message = (error as Error).message;
    t.match(error, { code: "OPTIONS_INVALID" });
  }
  for (const part of [
    'db.kind: is not a kind; did you mean "pool"?',
    "other.url",
    'other.maxConection: is not an option; did you mean "maxConnections"?',
    'more.criticalty: is not an option; did you mean "criticality"?',
    "none.kind: is missing: expected one of pool, counter",
    "list.kind: is missing",
    "odd.kind: is not a kind",
  ])
    t.ok(message.includes(part), `${part} in ${message}`);
  t.throws(() => fromConfig(kinds, null as never), { code: "OPTIONS_INVALID" });
  t.throws(() => fromConfig(undefined as never, {}), { code: "OPTIONS_INVALID" });
  // @ts-expect-error a kind that nothing makes
  t.throws(() => fromConfig(kinds, { db: { kind: "pol" } }), { code: "OPTIONS_INVALID" });
  t.end();
});

t.test("what configuration may disable is marked in its type", (t) => {
  const made = fromConfig(kinds, { db: { kind: "pool", url: "x", enabled: false } });
  // @ts-expect-error it may be disabled: need it as optional(db)
  resource("asker", { needs: { db: made.db }, start: () => 1 });
  t.equal(made.db.name, "db");
  t.end();
});
