import { container } from "../src/index.ts";
import { Guard, fallback, optional, resource, type Current, type Definition } from "@steward/core";
import { Manager, defineDriver, type ManagerContext } from "@steward/core/driver";
import { FakeClock } from "@steward/core/testing";
import { failure } from "@steward/testing";
import t from "tap";
import * as v from "valibot";

interface Store {
  get(key: string): Promise<string>;
}

class Remote {
  down = false;
}

/** A store whose client is there whether its server answers or not, as those of drivers are. */
class RemoteManager extends Manager<Store> {
  readonly #remote: Remote;
  readonly #guard: Guard;
  override readonly client = { get: (key: string): Promise<string> => this.#guard.run(() => this.#answer(key)) };

  constructor(remote: Remote, context: ManagerContext) {
    super("remote", context);
    this.#remote = remote;
    this.#guard = new Guard({ ...this.guardBasis(), breaker: {} });
  }
  protected override guards(): Iterable<Guard> {
    return [this.#guard];
  }
  protected override onStart(): Promise<void> {
    return this.onProbe();
  }
  protected override onProbe(): Promise<void> {
    return this.#answer("").then(() => {});
  }
  protected override onStop(): void {}
  #answer(key: string): Promise<string> {
    if (!this.#remote.down) return Promise.resolve(`remote ${key}`);
    return Promise.reject(Object.assign(new Error("connect refused"), { code: "ECONNREFUSED" }));
  }
}

const remoteStore = defineDriver<{ readonly remote: Remote }, Store>({
  kind: "remote",
  schema: v.strictObject({ remote: v.instance(Remote) }),
  create: ({ remote }, context) => new RemoteManager(remote, context),
});

function setUp(remote = new Remote()) {
  const clock = new FakeClock();
  const primary = remoteStore("primary", { remote, criticality: "optional" });
  const secondary = resource("secondary", { start: (): Store => ({ get: async (key) => `local ${key}` }) });
  let starts = 0;
  const pages = resource("pages", {
    needs: { store: fallback(primary, secondary) },
    start: ({ store }) => ({ no: ++starts, read: (key: string) => store.current.get(key) }),
  });
  return { clock, remote, primary, secondary, pages, app: container([pages], { clock }) };
}

t.test("an asker has the first while it answers, the second while it does not, and the first again", async (t) => {
  const { clock, remote, pages, app } = setUp();
  const running = await app.start();
  t.teardown(() => clock.runUntil(running.stop()));
  const read = (): Promise<string> => clock.runUntil(running.get(pages).read("a"));
  const statusOf = (name: string): unknown => running.health().resources.find((one) => one.name === name);
  t.equal(await read(), "remote a");
  t.match(statusOf("pages"), { status: "healthy" });
  remote.down = true;
  for (let i = 0; i < 5; i++) await failure(read());
  t.equal(await read(), "local a", "as soon as calls have shown that the first is down");
  t.match(statusOf("primary"), { status: "unhealthy" });
  t.match(statusOf("primary or secondary"), { status: "degraded", ownStatus: "healthy", causes: ["primary"] });
  t.match(statusOf("pages"), { status: "degraded", causes: ["primary"] });
  t.equal(running.health().status, "degraded");
  remote.down = false;
  await clock.advance(60_000);
  t.equal(await read(), "remote a");
  t.match(statusOf("pages"), { status: "healthy" });
  t.equal(running.get(pages).no, 1, "the asker was never restarted");
});

t.test("a first that is down when the container starts is used once it is up", async (t) => {
  const remote = new Remote();
  remote.down = true;
  const { clock, pages, app } = setUp(remote);
  const running = await clock.runUntil(app.start());
  t.teardown(() => clock.runUntil(running.stop()));
  t.equal(await running.get(pages).read("a"), "local a");
  remote.down = false;
  await clock.advance(60_000);
  t.equal(await running.get(pages).read("a"), "remote a");
});

t.test("a plain optional resource that is down is replaced too, also in a scope", async (t) => {
  const primary = resource("primary", {
    criticality: "optional",
    start: (): Store => {
      throw new Error("no disk");
    },
  });
  const secondary = resource("secondary", { start: (): Store => ({ get: async (key) => `local ${key}` }) });
  const store = fallback(primary, secondary);
  await using running = await container([store], { health: false }).start();
  t.equal(await running.scope([], { store }, ({ store }) => store.current.get("b")), "local b");
});

t.test("the same two are one definition, wherever they are named, and each can be overridden", async (t) => {
  const { primary, secondary, pages } = setUp();
  t.equal(fallback(primary, secondary), fallback(primary, secondary));
  t.not(fallback(primary, secondary), fallback(secondary, primary));
  const other = resource("other", { needs: { store: fallback(primary, secondary) }, start: ({ store }) => store });
  const fake: Store = { get: async (key) => `fake ${key}` };
  await using running = await container([pages, other]).override(primary, fake).start();
  t.equal(await running.get(pages).read("a"), "fake a");
  t.equal(await running.get(other).current.get("a"), "fake a");
});

t.test("what is no definition is refused, saying what it is", async (t) => {
  const { primary } = setUp();
  t.throws(() => fallback(primary, undefined as never), { code: "NEED_INVALID" });
  t.throws(() => fallback({} as never, primary), { code: "NEED_INVALID" });
  // @ts-expect-error a need that may be absent is no definition
  t.throws(() => fallback(optional(primary), primary), { code: "NEED_INVALID" });
});

t.test("both have the same type, neither may be disabled, and a second that may be down shows in the type", (t) => {
  const text = resource("text", { start: () => "text" });
  const number = resource("number", { start: () => 1 });
  const perhaps = resource("perhaps", { criticality: "optional", start: () => "perhaps" });
  const disabled = resource("disabled", { enabled: false, start: () => "disabled" });
  // @ts-expect-error a number in the place of a text
  fallback(text, number);
  // @ts-expect-error what may be disabled
  fallback(disabled, text);
  const sure: Definition<Current<string>> = fallback(perhaps, text);
  // @ts-expect-error the second may be down as well
  const unsure: Definition<Current<string>> = fallback(text, perhaps);
  t.same([sure.name, unsure.name], ["perhaps or text", "text or perhaps"]);
  t.end();
});
