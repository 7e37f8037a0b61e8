import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { getEventListeners } from "node:events";
import { container, healthEndpoints } from "../src/index.ts";
import { CHANNELS, current, resource } from "@steward/core";
import type { AnyDefinition } from "@steward/core/container";
import { Manager, defineDriver, type ApplyChange, type ManagerContext } from "@steward/core/driver";
import * as v from "valibot";
import t from "tap";

/** A resource whose value changes while it stays. */
class Dial extends Manager<number> {
  value = 1;
  apply: ApplyChange | undefined;
  readonly about = { turns: 3 };
  constructor(context: ManagerContext) {
    super("dial", context);
  }
  get client(): number {
    return this.value;
  }
  changeThrough(apply: ApplyChange): void {
    this.apply = apply;
  }
  turnTo(next: number, concerns: (dependant: AnyDefinition) => boolean, signal: AbortSignal): Promise<void> {
    const commit = (): void => void (this.value = next);
    return this.apply?.({ next, concerns, commit }, signal) ?? Promise.resolve();
  }
  protected async onStart(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }
  protected onProbe(): void {}
  protected onStop(): void {}
}

function world() {
  const made: { manager?: Dial } = {};
  const dial = defineDriver<object, number>({
    kind: "dial",
    schema: v.strictObject({}),
    first: true,
    settings: { tags: ["dials"] },
    create: (_options, context) => (made.manager = new Dial(context)),
  })("dial", {});
  const turnTo = async (
    next: number,
    concerns: (dependant: AnyDefinition) => boolean,
    signal = new AbortController().signal,
  ): Promise<void> => made.manager?.turnTo(next, concerns, signal);
  /** As the manager of this moment does it, also later. */
  const turnOf = (): typeof turnTo => {
    const { manager } = made;
    return async (next, concerns, signal = new AbortController().signal) => manager?.turnTo(next, concerns, signal);
  };
  return { dial, turnTo, turnOf };
}

t.test("what comes first is up before anything else starts, and where it fails nothing else has begun", async (t) => {
  const { dial } = world();
  const begun: string[] = [];
  const other = resource("other", { start: () => void begun.push("other") });
  const bad = defineDriver<object, number>({
    kind: "bad",
    schema: v.strictObject({}),
    first: true,
    create: (_options, context) =>
      new (class extends Dial {
        protected override onStart(): Promise<void> {
          return Promise.reject(new Error("wrong settings"));
        }
      })(context),
  })("bad", {});
  await t.rejects(container([other, bad]).start(), { message: /wrong settings.*nothing else had started/s });
  t.same(begun, []);
  await using running = await container([other, dial]).start();
  t.equal(running.get(dial), 1);
});

t.test("what a change concerns starts with the next value, and all of it comes in use in one tick", async (t) => {
  const { dial, turnTo } = world();
  const own = resource("own", {
    needs: { dial, now: current(dial) },
    start: async ({ dial, now }) => {
      await Promise.resolve();
      return { dial, now: now.current };
    },
  });
  const holder = resource("holder", { needs: { own, dial }, start: ({ own, dial }) => [own.dial, own.now, dial] });
  const other = resource("other", { needs: { dial }, start: ({ dial }) => ({ dial }) });
  await using running = await container([holder, other]).start();
  const before = running.get(other);
  await running.scope([], { dial }, async ({ dial: pinned }) => {
    await turnTo(2, () => false);
    t.equal(pinned, 1, "an open scope keeps what it began with");
    await running.scope([], { dial }, ({ dial }) => t.equal(dial, 2));
  });
  t.same(running.get(holder), [1, 1, 1], "what it does not concern keeps the old value");
  await turnTo(3, (dependant) => dependant === own);
  t.same(running.get(holder), [3, 3, 3], "what holds it is made anew, and sees the next value too");
  t.equal(running.get(other), before);
});

t.test("a change is announced as a restart where it makes something anew, and only there", async (t) => {
  const { dial, turnTo } = world();
  const own = resource("own", { needs: { dial }, start: ({ dial }) => ({ dial }) });
  await using running = await container([own], { name: "turned" }).start();
  const heard: string[] = [];
  const listen = (event: unknown): void => {
    const { container: name, resource: of, step } = event as Record<string, string>; // what the channel carries
    if (name === "turned") heard.push(`${of} ${step}`);
  };
  subscribe(CHANNELS.restart, listen);
  t.teardown(() => unsubscribe(CHANNELS.restart, listen));
  await turnTo(2, () => false);
  t.same(heard, []);
  await turnTo(3, () => true);
  t.same(heard, ["dial began", "dial ended"]);
  t.same(running.get(own), { dial: 3 });
});

t.test("a change leaves nothing behind at the signal of its caller, which lives on", async (t) => {
  const { dial, turnTo } = world();
  const own = resource("own", { needs: { dial }, start: ({ dial }) => ({ dial }) });
  await using running = await container([own]).start();
  const { signal } = new AbortController();
  await turnTo(2, () => true, signal);
  t.same(running.get(own), { dial: 2 });
  t.equal(getEventListeners(signal, "abort").length, 0);
});

t.test("when something does not start with the next value, nothing has changed", async (t) => {
  const { dial, turnTo } = world();
  const own = resource("own", {
    needs: { dial },
    start: ({ dial }) => {
      if (dial > 1) throw new Error("too much");
      return { dial };
    },
  });
  await using running = await container([own]).start();
  await t.rejects(
    turnTo(2, () => true),
    { code: "RESTART_FAILED", message: /too much/ },
  );
  t.equal(running.get(dial), 1);
  t.same(running.get(own), { dial: 1 });
});

t.test("a change while the container starts waits for its end; one of a manager that is gone is refused", async (t) => {
  const { dial, turnTo, turnOf } = world();
  let open = (): void => {};
  let begun = (): void => {};
  const isOpen = new Promise<void>((resolve) => (open = resolve));
  const hasBegun = new Promise<void>((resolve) => (begun = resolve));
  const slow = resource("slow", {
    needs: { dial },
    start: async ({ dial }) => {
      begun();
      await isOpen;
      return { dial };
    },
  });
  const starting = container([slow]).start();
  await hasBegun;
  const turned = turnTo(2, (dependant) => dependant !== slow);
  open();
  await using running = await starting;
  await turned;
  t.same([running.get(slow).dial, running.get(dial)], [1, 2]);
  const gone = turnOf();
  await running.restart(dial);
  await t.rejects(
    gone(3, () => false),
    { code: "RESTART_FAILED", message: /"dial" is not in use any more/ },
  );
});

t.test("what a resource says of itself is in health documents, with the details", async (t) => {
  const { dial } = world();
  await using running = await container([dial]).start();
  const bodyOf = (details: boolean): string => {
    const answer = healthEndpoints(running, { details })("GET", "/health/dials");
    return String(answer?.body);
  };
  t.match(bodyOf(true), /"about":\{"turns":3\}/);
  t.notMatch(bodyOf(false), /turns/);
});
