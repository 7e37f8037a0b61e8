import { afterReply, input, resource } from "@steward/core";
import { failure, FakeClock } from "@steward/testing";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import t from "tap";
import { container, type RunningContainer } from "../src/index.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** A container with something whose old instance has to stop first, which takes a second. */
async function withPort() {
  const clock = new FakeClock();
  const open = new Set<number>();
  let starts = 0;
  const port = resource("port", {
    restart: "stop-first",
    start: () => (open.add(++starts), starts),
    stop: async (no) => {
      await clock.sleep(1_000);
      open.delete(no);
    },
  });
  const running = await container([port], { clock }).start();
  return { clock, open, port, running };
}

function openScopes(running: RunningContainer): number | undefined {
  return [...running.metrics()].find(({ name }) => name === "resource_scopes_open")?.value as number | undefined; // a gauge
}

t.test("a scope that opens while a restart keeps scopes out gets the new instance, and holds it", async (t) => {
  const { clock, open, port, running } = await withPort();
  const restarted = running.restart(port);
  await clock.advance(100);
  const [scope, idle, gone] = [running.scope(), running.scope(), running.scope()];
  const refused = failure(gone.get(port));
  const [got, resolved] = [scope.get(port), scope.resolve({ port })];
  await gone.close();
  await clock.runUntil(restarted);
  t.equal(await got, 2);
  t.strictSame(await resolved, { port: 2 });
  t.match(await refused, { code: "SCOPE_CLOSED" });
  await idle.close();
  const again = running.restart(port);
  await clock.advance(2_000);
  t.ok(open.has(2), "it is in use");
  t.equal(await scope.get(port), 2);
  await scope.close();
  await clock.advance(1_000);
  t.strictSame([...open], [3], "nothing else holds it");
  await again;
  await clock.runUntil(running.stop());
});

t.test("a scope that was open before waits for no restart that waits for it", async (t) => {
  const { clock, port, running } = await withPort();
  const scope = running.scope();
  const restarted = running.restart(port);
  await clock.advance(100);
  t.equal(await scope.get(port), 1);
  t.equal(clock.now(), 100);
  await scope.close();
  await clock.runUntil(restarted);
  await clock.runUntil(running.stop());
});

t.test("a closed scope gives nothing any more, nor does one that closes, and its signal has aborted", async (t) => {
  const view = resource("view", { lifetime: "request", start: () => ({}) });
  let asked: Promise<unknown> | undefined;
  const ask = async (): Promise<void> => void (await (asked = failure(scope.get(view))));
  const file = resource("file", { lifetime: "request", start: () => 1, stop: ask });
  await using running = await container([view, file]).start();
  const scope = running.scope();
  const { signal } = scope;
  await scope.resolve({ view, file });
  t.notOk(signal.aborted);
  await scope.close();
  t.match(await asked, { code: "SCOPE_CLOSED" });
  t.match(signal.reason, { code: "SCOPE_CLOSED" });
  await t.rejects(scope.get(view), { code: "SCOPE_CLOSED" });
  await t.rejects(scope.resolve({ view }), { code: "SCOPE_CLOSED" });
});

t.test("what is still being made for a closed scope holds what it is made from", async (t) => {
  const clock = new FakeClock();
  const open = new Set<number>();
  let starts = 0;
  const db = resource("db", { start: () => (open.add(++starts), starts), stop: (no) => void open.delete(no) });
  let isOpen = false;
  const view = resource("view", {
    lifetime: "request",
    needs: { db },
    start: async ({ db }) => {
      await clock.sleep(50);
      isOpen = open.has(db);
    },
  });
  const running = await container([view], { clock }).start();
  const scope = running.scope();
  const made = failure(scope.get(view));
  await scope.close();
  const restarted = running.restart(db);
  t.match(await clock.runUntil(made), { code: "SCOPE_CLOSED" });
  t.ok(isOpen);
  await restarted;
  t.equal(clock.now(), 50);
  t.equal(openScopes(running), 0);
  await running.stop();
});

t.test("inputs are found whatever their order, and those of a session by its scopes", async (t) => {
  const user = input<string>()("user", { lifetime: "session" });
  const [id, page] = [input<number>()("id", { lifetime: "request" }), input<number>()("page", { lifetime: "request" })];
  const view = resource("view", {
    lifetime: "request",
    needs: { id, page },
    start: ({ id, page }) => `${id} page ${page}`,
  });
  const mine = resource("mine", {
    lifetime: "request",
    needs: { user, view },
    start: ({ user, view }) => `${user}: ${view}`,
  });
  await using running = await container([]).start();
  t.equal(await running.scope([page.is(2), id.is(1)], { view }, ({ view }) => view), "1 page 2");
  const session = running.session("ann", [user.is("ann")]);
  t.equal(await session.scope([page.is(2), id.is(1)], { mine }, ({ mine }) => mine), "ann: 1 page 2");
  // @ts-expect-error one is missing
  const missing = failure(session.scope([page.is(2)], { mine }, () => 1));
  t.match(await missing, { code: "INPUT_MISSING", message: /"id"/ });
});

t.test("a scope makes nothing twice but what did not start in time", async (t) => {
  const clock = new FakeClock();
  let [views, tries] = [0, 0];
  const view = resource("view", { lifetime: "request", start: async () => ++views });
  const slow = resource("slow", {
    lifetime: "request",
    startTimeoutMs: 100,
    start: async () => {
      if (++tries === 1) await clock.sleep(1_000);
      return tries;
    },
  });
  await using running = await container([view, slow], { clock }).start();
  const seen = await running.scope([], { view }, async ({ view: mine }, scope) => [mine, await scope.get(view)]);
  t.strictSame(seen, [1, 1]);
  const scope = running.scope();
  t.match(await clock.runUntil(failure(scope.get(slow))), { code: "START_TIMEOUT" });
  t.equal(await scope.get(slow), 2);
  t.equal(await scope.get(slow), 2);
  await clock.advance(1_000);
  await scope.close();
});

t.test("a scope knows before its end whether there is something to do, and ends once", async (t) => {
  const log: string[] = [];
  const plain = resource("plain", { lifetime: "request", start: () => 1 });
  const file = resource("file", { lifetime: "request", start: () => 1, stop: () => void log.push("-file") });
  const tx = resource("tx", {
    lifetime: "handler",
    async *start() {
      yield 1;
      log.push("commit");
      yield afterReply;
      log.push("after");
    },
  });
  await using running = await container([plain, file, tx]).start();
  const seen: unknown[] = [];
  for (const needs of [{ plain }, { file }, { tx }]) {
    const prepared = running.prepare(needs);
    const scope = prepared.open([]);
    t.strictSame(scope.result, {});
    await prepared.enter(scope);
    seen.push([scope.settlesAtOnce, scope.endsAtOnce]);
    await scope.settle();
    await scope.settle({ error: new Error("too late") });
    seen.push(log.splice(0).join());
    await scope.close();
    seen.push(log.splice(0).join());
    await scope.close({ error: new Error("too late") });
  }
  t.strictSame(seen, [[true, true], "", "", [true, false], "", "-file", [false, false], "commit", "after"]);
  const [one, other] = [running.prepare({}).open([]), running.scope()];
  one.endAtOnce();
  one.endAtOnce();
  t.equal(openScopes(running), 1);
  await other.close();
});

t.test("of scopes that end in any order a stop aborts exactly those that are open", async (t) => {
  for (const ended of [[0], [1], [2], [0, 1], [1, 0], [2, 1], [1, 2], [0, 2], [2, 0]]) {
    const clock = new FakeClock();
    const running = await container([], { clock }).start();
    const scopes = [running.scope(), running.scope(), running.scope()];
    const signals = scopes.map(({ signal }) => signal);
    for (const i of ended) await scopes[i]?.close();
    await clock.runUntil(failure(running.stop({ timeoutMs: ended.length === 1 ? 0 : 100 })));
    t.strictSame(
      signals.map(({ reason }) => (reason as { readonly code: string }).code),
      [0, 1, 2].map((i) => (ended.includes(i) ? "SCOPE_CLOSED" : "CONTAINER_CLOSED")),
      ended.join(),
    );
  }
});

t.test("a drain waits for the last of its scopes, and then nothing may pin a resource", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  const db = resource("db", { start: () => 1, stop: () => void log.push("-db") });
  const running = await container([db], { clock }).start();
  const work = [100, 200, 300].map((ms) =>
    running.scope([], { db }, () => clock.sleep(ms).then(() => log.push(`${ms}`))),
  );
  const stopped = running.stop();
  await clock.runUntil(Promise.all(work));
  await clock.runUntil(stopped);
  t.strictSame(log, ["100", "200", "300", "-db"]);
  await t.rejects(
    running.use(db, () => 1),
    { code: "CONTAINER_CLOSED" },
  );
});

t.test("scopes that have ended are forgotten beside others that go on", async (t) => {
  const running = await container([]).start();
  const kept = [running.scope()];
  const ended = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const scope = running.scope();
      kept.push(running.scope());
      await Promise.resolve();
      await scope.close();
      return new WeakRef(scope);
    }),
  );
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  const left = ended.filter((one) => one.deref() !== undefined).length;
  t.ok(left < 5, `${left} of ${ended.length} are kept`); // V8 may see some on the stack still
  for (const scope of kept) await scope.close();
  await running.stop();
});
