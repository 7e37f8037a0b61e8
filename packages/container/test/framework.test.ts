import { container } from "../src/index.ts";
import { input, lazy, resource, type Binding, type Definition } from "@steward/core";
import { originOf, specOf, variantOf } from "@steward/core/container";
import { FakeClock } from "@steward/testing";
import { definitionsHeld, followValue } from "../src/framework.ts";
import t from "tap";

const request = input<string>()("request", { lifetime: "request" });
const db = resource("db", { start: () => ({ name: "real" }) });

t.test(
  "prepared needs name their inputs and what they make, and are resolved in scopes that the caller ends",
  async (t) => {
    const log: string[] = [];
    const tx = resource("tx", {
      lifetime: "handler",
      needs: { db, request },
      *start({ db, request }) {
        yield `${db.name} ${request}`;
        log.push("commit");
      },
    });
    await using running = await container([db]).start();
    const prepared = running.prepare({ tx });
    t.strictSame(
      prepared.inputs.map(({ definition }) => definition.name),
      ["request"],
    );
    t.strictSame(
      prepared.makes.map(({ name }) => name),
      ["tx"],
    );
    const scope = prepared.open([request.is("one")]);
    t.equal(prepared.enter(scope), undefined);
    t.strictSame(scope.result, { tx: "real one" });
    t.notOk(scope.settlesAtOnce);
    await scope.settle();
    t.strictSame(log, ["commit"]);
    t.ok(scope.isOpen);
    scope.endAtOnce();
    t.notOk(scope.isOpen);
  },
);

t.test("a scope asks its provider for inputs that it was not given", async (t) => {
  const shout = resource("shout", {
    lifetime: "request",
    needs: { request },
    start: ({ request }) => request.toUpperCase(),
  });
  await using running = await container([]).start();
  const given: readonly Binding[] = [];
  const scope = running.prepare({}).open(given, (definition) => `from ${definition.name}`);
  t.equal(await scope.get(shout as Definition<string, "request">), "FROM REQUEST");
  await scope.close();
});

t.test("who follows a value has it at once, and any other in the tick in which it comes in use", async (t) => {
  let starts = 0;
  const clockwork = resource("clockwork", { start: () => ++starts });
  const other = resource("other", { start: () => 1 });
  await using running = await container([clockwork, other]).start();
  const seen: number[] = [];
  const end = followValue(running, clockwork, (value) => {
    seen.push(value);
    t.equal(running.get(clockwork), value);
  });
  t.strictSame(seen, [1]);
  await running.restart(other);
  t.strictSame(seen, [1], "it is the same");
  await running.restart(clockwork);
  t.strictSame(seen, [1, 2]);
  end();
  await running.restart(clockwork);
  t.strictSame(seen, [1, 2]);
});

t.test("who follows a value that is down hears nothing until it is up", async (t) => {
  const clock = new FakeClock();
  let isUp = false;
  const search = resource("search", {
    criticality: "optional",
    start: () => {
      if (!isUp) throw new Error("down");
      return "up";
    },
  });
  const running = await container([search], { clock }).start();
  const seen: string[] = [];
  // The types of those who know their value refuse one that may be down; a framework follows what an app hands it.
  followValue(running, search as unknown as Definition<string, "application">, (value) => seen.push(value));
  await clock.advance(200);
  t.strictSame(seen, []);
  isUp = true;
  await clock.advance(2_000);
  t.strictSame(seen, ["up"]);
  await clock.runUntil(running.restart(search));
  t.strictSame(seen, ["up"], "a value that is equal is none to hear of");
  isUp = false;
  await clock.runUntil(running.restart(search));
  isUp = true;
  await clock.advance(2_000);
  t.strictSame(seen, ["up", "up"], "one that comes back is");
  await running.stop();
});

t.test("a running container replaces definitions in new scopes, until that is taken back", async (t) => {
  const name = resource("name", { lifetime: "request", needs: { db }, start: ({ db }) => db.name });
  await using running = await container([name]).start();
  const prepared = running.prepare({ name });
  const seen = async () => {
    const scope = prepared.open([]);
    await prepared.enter(scope);
    const { name: value } = scope.result;
    await scope.close();
    return value;
  };
  t.equal(await seen(), "real");
  {
    using _outer = running.override(db, { name: "outer" });
    t.equal(await seen(), "outer");
    {
      using _inner = running.override(
        name,
        resource("wrapped", { lifetime: "request", needs: { name }, start: ({ name }) => `<${name}>` }),
      );
      t.equal(await seen(), "<outer>");
    }
    t.equal(await running.scope([], { name }, ({ name }) => name), "outer");
  }
  t.equal(await seen(), "real");
  t.equal(running.get(db).name, "real");
});

t.test("an override of a definition counts for its variants", async (t) => {
  const flag = resource("flag", { lifetime: "request", start: () => "plain" });
  const red = resource("red", { lifetime: "request", start: () => "red" });
  const user = resource("user", { lifetime: "request", needs: { flag }, start: ({ flag }) => `user ${flag}` });
  const inRed = (definition: Definition<unknown, string, string>): Definition<unknown, string, string> =>
    variantOf(definition, { ...specOf(definition).needs, flag: red }, inRed);
  const variant = inRed(user) as typeof user; // the same value under other needs
  t.equal(originOf(variant), user);
  const other = resource("other", { lifetime: "request", needs: { flag }, start: ({ flag }) => `other ${flag}` });
  await using running = await container([]).start();
  const both = () => running.scope([], { user, variant }, (values) => values);
  t.strictSame(await both(), { user: "user plain", variant: "user red" });
  using _override = running.override(user, other);
  t.strictSame(await both(), { user: "other plain", variant: "other red" });
});

t.test("overrides are taken back in any order; the last that is left is in force", async (t) => {
  const value = resource("value", { lifetime: "request", start: (): string => "own" });
  await using running = await container([value]).start();
  const seen = () => running.scope([], { value }, ({ value }) => value);
  const [one, two, three] = ["one", "two", "three"].map((text) => running.override(value, text));
  t.equal(await seen(), "three");
  one?.[Symbol.dispose]();
  t.equal(await seen(), "three");
  three?.[Symbol.dispose]();
  t.equal(await seen(), "two");
  two?.[Symbol.dispose]();
  two?.[Symbol.dispose]();
  t.equal(await seen(), "own");
});

t.test("a framework learns what a container has as soon as it is up, and not what may never be made", (t) => {
  const inner = resource("inner", { start: () => 1 });
  const asked = resource("asked", { start: () => 2 });
  const later = resource("later", { start: () => 3 });
  const root = resource("root", { needs: { inner, later: lazy(later) }, start: () => 4 });
  const each = resource("each", { lifetime: "request", needs: { asked }, start: () => 5 });
  t.strictSame(new Set(definitionsHeld(container([root, each]))), new Set([root, inner, asked]));
  t.end();
});
