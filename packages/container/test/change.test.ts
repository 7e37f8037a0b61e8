import { current, input, lazy, resource, when, type Definition } from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";
import { container, explain } from "../src/index.ts";

t.test(
  "an override by a value or a definition replaces it for everyone, and what only the original needed does not start",
  async (t) => {
    const secret = resource("secret", { start: () => t.fail("only the original needs it") });
    const db = resource("db", { needs: { secret }, start: () => ({ query: (): string => "real" }) });
    const users = resource("users", { needs: { db }, start: ({ db }) => db.query() });
    const app = container([users]);
    {
      await using running = await app.override(db, { query: () => "value" }).start();
      t.equal(running.get(users), "value");
    }
    const fake = resource("fake", { start: () => ({ query: () => "definition" }) });
    await using running = await app.override(db, fake).start();
    t.equal(running.get(users), "definition");
    t.equal(running.get(db).query(), "definition");
  },
);

t.test("an override may wrap the original by needing it", async (t) => {
  const db = resource("db", { start: () => ({ query: (): string => "row" }) });
  const users = resource("users", { needs: { db }, start: ({ db }) => db.query() });
  const counted = resource("counted", { needs: { db }, start: ({ db }) => ({ query: () => `counted ${db.query()}` }) });
  await using running = await container([users]).override(db, counted).start();
  t.equal(running.get(users), "counted row");
});

t.test("overrides apply to each other and to scoped definitions and inputs", async (t) => {
  const token = input<string>()("token", { lifetime: "request" });
  const me = resource("me", { lifetime: "request", needs: { token }, start: ({ token }) => token });
  const page = resource("page", { lifetime: "request", needs: { me }, start: ({ me }) => `page of ${me}` });
  const app = container([page]);
  await using plain = await app.start();
  t.equal(await plain.scope([token.is("ann")], { page }, ({ page }) => page), "page of ann");
  await using fixed = await app.override(me, "bob").start();
  // @ts-expect-error types cannot know that what wants the token was replaced
  t.equal(await fixed.scope([], { page }, ({ page }) => page), "page of bob");
  const loud = resource("loud", { lifetime: "request", needs: { me }, start: ({ me }) => me.toUpperCase() });
  await using wrapped = await app.override(me, loud).start();
  t.equal(await wrapped.scope([token.is("cid")], { page }, ({ page }) => page), "page of CID");
});

t.test("an override that closes a loop is refused with the path", async (t) => {
  const config = resource("config", { start: () => ({ url: "x" }) });
  const db = resource("db", { needs: { config }, start: ({ config }) => config });
  const users = resource("users", { needs: { db }, start: ({ db }) => db });
  const fromDb = resource("fromDb", { needs: { users }, start: ({ users }) => users });
  await t.rejects(container([users]).override(config, fromDb).start(), {
    code: "GRAPH_CYCLE",
    message: /users -> db -> fromDb -> users/,
  });
  const me = resource("me", { lifetime: "request", start: () => 1 });
  const page = resource("page", { lifetime: "request", needs: { me }, start: ({ me }) => me });
  const loop = resource("loop", { lifetime: "request", needs: { page }, start: ({ page }) => page });
  await t.rejects(container([page]).override(me, loop).start(), {
    code: "GRAPH_CYCLE",
    message: /page -> loop -> page/,
  });
});

t.test("a need that is undefined is refused when the definition is made", (t) => {
  const missing = undefined as unknown as Definition<number>;
  t.throws(() => resource("a", { needs: { missing }, start: ({ missing }) => missing }), {
    code: "NEED_INVALID",
    message: /"a" cannot need "missing".*import each other/,
  });
  t.throws(() => lazy(missing), { code: "NEED_INVALID" });
  t.end();
});

t.test("a restart replaces a resource and what holds it, in order, while others stay", async (t) => {
  const log: string[] = [];
  let made = 0;
  const make = (name: string, needs: Record<string, Definition<string>> = {}) =>
    resource(name, {
      needs,
      start: () => (log.push(`+${name}`), `${name}${++made}`),
      stop: (value) => void log.push(`-${value}`),
    });
  const config = make("config");
  const db = make("db", { config });
  const users = make("users", { db });
  const other = make("other", { config });
  const watcher = resource("watcher", { needs: { db: current(db) }, start: ({ db }) => db });
  const running = await container([users, other, watcher]).start();
  const [oldUsers, oldOther, oldWatcher] = [running.get(users), running.get(other), running.get(watcher)];
  t.equal(running.get(watcher).current, "db2");
  log.length = 0;
  await running.restart(db);
  t.strictSame(log, ["+db", "+users", `-${oldUsers}`, "-db2"], "new ones start before the old ones stop");
  t.not(running.get(users), oldUsers);
  t.equal(running.get(other), oldOther);
  t.equal(running.get(watcher).current, running.get(db), "current follows, its holder stays");
  t.equal(running.get(watcher), oldWatcher);
  await running.stop();
});

t.test(
  "a restart of a condition, or of the branch it has chosen, replaces what holds it; the other does not",
  async (t) => {
    const log: string[] = [];
    let remote = true;
    const make = <V>(name: string, start: () => V) =>
      resource(name, { start: () => (log.push(`+${name}`), start()), stop: () => void log.push(`-${name}`) });
    const config = make("config", () => ({ remote }));
    const smtp = make("smtp", () => "smtp");
    const printed = make("printed", () => "printed");
    const mailer = resource("mailer", {
      needs: { mail: when(config, (c) => c.remote, smtp, printed) },
      start: ({ mail }) => (log.push("+mailer"), mail),
      stop: (mail) => void log.push(`-mailer by ${mail}`),
    });
    const running = await container([mailer, smtp, printed]).start();
    const restart = async (definition: Definition<unknown, "application">) => {
      log.length = 0;
      await running.restart(definition);
      return log.join(" ");
    };
    t.equal(await restart(printed), "+printed -printed");
    t.equal(await restart(smtp), "+smtp +mailer -mailer by smtp -smtp");
    remote = false;
    t.equal(await restart(config), "+config +mailer -mailer by smtp -config");
    t.equal(running.get(mailer), "printed");
    t.equal(await restart(smtp), "+smtp -smtp");
    t.equal(await restart(printed), "+printed +mailer -mailer by printed -printed");
    log.length = 0;
    await running.stop();
    t.equal(log[0], "-mailer by printed", "it stops before what it needs");
  },
);

t.test("an open scope keeps the generation it began with, and the old instance waits for it", async (t) => {
  const log: string[] = [];
  let made = 0;
  const db = resource("db", { start: () => ++made, stop: (n) => void log.push(`-${n}`) });
  const view = resource("view", { lifetime: "request", needs: { db }, start: ({ db }) => db });
  const running = await container([view]).start();
  const scope = running.scope([]);
  t.equal(await scope.get(view), 1);
  let release: () => void = () => {};
  const pinned = running.use(db, (n) => new Promise<number>((resolve) => (release = () => resolve(n))));
  const restarted = running.restart(db);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(await running.scope([], { view }, ({ view }) => view), 2, "new scopes have the new one");
  t.equal((await scope.resolve({ db })).db, 1, "the open one still has the old one");
  t.strictSame(log, []);
  await scope.close();
  release();
  t.equal(await pinned, 1);
  await restarted;
  t.strictSame(log, ["-1"]);
  await running.stop();
});

t.test("a restart whose new instance fails changes nothing", async (t) => {
  let attempts = 0;
  const db = resource("db", {
    start: () => {
      if (++attempts === 2) throw new Error("bad password");
      return attempts;
    },
  });
  const users = resource("users", { needs: { db }, start: ({ db }) => db });
  await using running = await container([users]).start();
  await t.rejects(running.restart(db), { code: "RESTART_FAILED", message: /bad password/, retryable: true });
  t.equal(running.get(users), 1);
  await running.restart(db);
  t.equal(running.get(users), 3);
});

t.test("what can exist only once stops before its successor starts, and scopes wait meanwhile", async (t) => {
  const clock = new FakeClock();
  const log: string[] = [];
  let made = 0;
  const port = resource("port", {
    restart: "stop-first",
    start: async () => {
      await clock.sleep(10);
      log.push(`+${++made}`);
      return made;
    },
    stop: (n) => void log.push(`-${n}`),
  });
  const view = resource("view", { lifetime: "request", needs: { port }, start: ({ port }) => port });
  const running = await clock.runUntil(container([view], { clock }).start());
  const restarted = running.restart(port);
  await clock.settle();
  const waiting = running.scope([], { view }, ({ view }) => view);
  await clock.runUntil(restarted);
  t.strictSame(log, ["+1", "-1", "+2"]);
  t.equal(await waiting, 2);
  await running.stop();
});

t.test(
  "after a restart that had to stop the old instance and failed, scopes are refused until one succeeds",
  async (t) => {
    let attempts = 0;
    const port = resource("port", {
      restart: "stop-first",
      start: () => {
        if (++attempts === 2) throw new Error("address in use");
        return attempts;
      },
    });
    const view = resource("view", { lifetime: "request", needs: { port }, start: ({ port }) => port });
    await using running = await container([view]).start();
    await t.rejects(running.restart(port), { code: "RESTART_FAILED" });
    await t.rejects(
      running.scope([], { view }, () => 1),
      { code: "RESTART_FAILED", message: /address in use/ },
    );
    await running.restart(port);
    t.equal(await running.scope([], { view }, ({ view }) => view), 3);
  },
);

t.test("a borrower that never returns holds a restart up for the drain timeout only", async (t) => {
  const clock = new FakeClock();
  let stopped = false;
  const db = resource("db", { start: () => 1, stop: () => void (stopped = true) });
  const view = resource("view", { lifetime: "request", needs: { db }, start: ({ db }) => db });
  const running = await container([view], { clock, drainTimeoutMs: 1_000 }).start();
  void running.scope([], { view }, () => new Promise(() => {}));
  const restarted = running.restart(db);
  await clock.advance(999);
  t.notOk(stopped);
  await clock.runUntil(restarted);
  t.ok(stopped);
  await t.rejects(clock.runUntil(running.stop()), { code: "STOP_FAILED" });
});

t.test("the graph is shown as text, Mermaid and JSON, with times and the critical path", async (t) => {
  const clock = new FakeClock();
  const config = resource("config", { start: () => 1 });
  const slow = resource("slow", { needs: { config }, start: () => clock.sleep(60) });
  const quick = resource("quick", { needs: { config, slow: lazy(slow) }, start: () => clock.sleep(10) });
  const page = resource("page", { needs: { slow, quick: current(quick) }, start: () => 1 });
  const app = container([page], { clock });
  t.match(explain(app), /slow: not started; needs config/);
  const running = await clock.runUntil(app.start());
  t.equal(
    explain(running),
    [
      "* config: ready in 0 ms",
      "* slow: ready in 60 ms; needs config",
      "  quick: ready in 10 ms; needs config, slow (lazy)",
      "* page: ready in 0 ms; needs slow, quick (current)",
      "* critical path: config -> slow -> page",
    ].join("\n"),
  );
  t.match(explain(running, "mermaid"), /^flowchart LR\n {2}n0\["config<br\/>0 ms"\]:::critical/);
  t.match(explain(running, "mermaid"), /n3 -\. current \.-> n2/);
  t.match(JSON.parse(explain(running, "json")), {
    criticalPath: ["config", "slow", "page"],
    criticalPathMs: 60,
    nodes: [{ name: "config", state: "ready" }, {}, {}, {}],
  });
  await clock.runUntil(running.stop());
});
