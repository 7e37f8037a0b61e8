import { container } from "../src/index.ts";
import { cached, input, isStewardError, lazy, resource } from "@steward/core";
import { defineDriver, Manager, type ManagerContext } from "@steward/core/driver";
import t from "tap";
import * as v from "valibot";

let started: string[] = [];
t.beforeEach(() => {
  started = [];
});

class FakeManager extends Manager<string> {
  constructor(_options: object, context: ManagerContext) {
    super("fake", context);
  }

  get client(): string {
    return this.name;
  }
  protected override async onStart(): Promise<void> {
    started.push(this.name);
  }
  protected override onProbe(): void {}
  protected override onStop(): void {}
}

const driver = defineDriver<object, string>({
  kind: "fake",
  schema: v.strictObject({}),
  create: (options, context) => new FakeManager(options, context),
});

const make = (name: string) => () => {
  started.push(name);
  return name;
};

const config = resource("config", { start: make("config") });
const db = driver("db", { needs: { config }, options: () => ({}) });
const store = resource("store", { needs: { config }, guard: {}, start: () => ({ at: make("store")() }) });
const clockSource = resource("clockSource", { start: make("clockSource") });
const mailer = resource("mailer", { needs: { config }, probe: () => {}, start: make("mailer") });
const users = resource("users", {
  needs: { db, store, mailer: lazy(mailer) },
  start: ({ db }) => `users of ${db}`,
});

/** The error of a start, or of a scope. */
const refusal = async (work: () => Promise<unknown>): Promise<Error> => {
  const error = await work().then(
    () => undefined,
    (error: unknown) => error,
  );
  if (isStewardError(error, "NOT_OVERRIDDEN")) return error;
  throw new Error(`refused otherwise: ${String(error)}`);
};

t.test("names all that reaches the outside at once, before anything starts", async (t) => {
  const error = await refusal(() => container([users, clockSource]).strict().start());
  for (const name of ["config", "db", "store", "mailer", "clockSource"]) t.match(error.message, `"${name}"`);
  t.match(error.message, /"db" \(driver fake\)/);
  t.match(error.message, /"store" \(has a guard\)/);
  t.match(error.message, /"mailer" \(has a probe\)/, "also what starts lazily");
  t.notMatch(error.message, /"users"/, "what only combines others may start");
  t.same(started, []);
});

t.test("starts once all that is overridden, by a value or another definition, or allowed", async (t) => {
  const test = container([users, clockSource])
    .strict([clockSource])
    .override(db, "a fake")
    .override(store, resource("memory", { start: () => ({ at: "memory" }) }))
    .override(mailer, "nothing is sent");
  await using running = await test.start();
  t.equal(running.get(users), "users of a fake");
  t.equal(running.get(store).at, "memory");
  t.same(started, ["clockSource"]);
});

t.test("a replacement that wraps the original does not hide it, nor what it needs itself", async (t) => {
  const wrapper = resource("wrapper", { needs: { db, clockSource }, start: ({ db }) => `wrapped ${db}` });
  const error = await refusal(() => container([db]).override(config, "c").override(db, wrapper).strict().start());
  t.match(error.message, /these 2 reach the outside without an override: "db".*, "clockSource"/);
});

t.test("what is disabled, an input, and what has inputs alone may start", async (t) => {
  const off = resource("off", { enabled: false, start: make("off") });
  const now = input<number>()("now");
  const later = resource("later", { needs: { now }, start: ({ now }) => now + 1 });
  await using running = await container([off, later])
    .strict()
    .start([now.is(1)]);
  t.equal(running.get(later), 2);
});

t.test("definitions of scopes are judged like all others, whether a root needs them or a scope asks", async (t) => {
  const id = resource("id", { lifetime: "request", start: make("id") });
  const page = resource("page", { lifetime: "request", needs: { id }, start: ({ id }) => `page ${id}` });
  const page2 = resource("page2", {
    lifetime: "request",
    needs: { kept: cached(config, { ttlMs: 1 }) },
    start: () => 1,
  });
  const error = await refusal(() => container([page, page2]).strict().start());
  t.match(error.message, /"id".*"config"/);

  await using running = await container([]).strict().start();
  const asked = await refusal(() => running.scope([], { page }, () => 1));
  t.match(asked.message, /^the scope is strict, and this reaches the outside without an override: "id"/);
  t.same(started, []);
  using _ = running.override(id, "7");
  t.equal(await running.scope([], { page }, ({ page }) => page), "page 7");
});

t.test("a container that is strict is still explained, and what it names has to be there", async (t) => {
  t.equal(container([users]).strict().graph().nodes.length, 5);
  const unused = container([config]).strict([resource("confg", { start: () => "" })]);
  await t.rejects(unused.start(), {
    code: "NOT_IN_GRAPH",
    message: /strict\(\["confg"\]\) allows nothing.*did you mean "config"/,
  });
  t.throws(() => container([config]).strict([undefined] as never), { code: "OPTIONS_INVALID" });
});
