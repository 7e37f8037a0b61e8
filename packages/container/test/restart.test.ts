import { cached, current, lazy, optional, resource, runWithContext } from "@steward/core";
import { FakeClock } from "@steward/testing";
import t from "tap";
import { container } from "../src/index.ts";

/** Something that can be stopped, and says so. */
interface Part {
  readonly no: number;
  open: boolean;
}

/** Makes numbered parts and counts those that are up. */
class Maker {
  made = 0;
  readonly log: string[] = [];
  readonly up = new Set<Part>();

  start(name: string): Part {
    const part = { no: ++this.made, open: true };
    this.up.add(part);
    this.log.push(`+${name}`);
    return part;
  }

  stop(name: string, part: Part): void {
    part.open = false;
    this.up.delete(part);
    this.log.push(`-${name}`);
  }
}

t.test("a lazy start that has nothing to do with a restart does not wait for it, and its instance stays", async (t) => {
  const clock = new FakeClock();
  const reports = new Maker();
  let starts = 0;
  const db = resource("db", { start: () => clock.sleep(++starts === 1 ? 0 : 5_000) });
  const report = resource("report", {
    start: () => reports.start("report"),
    stop: (part) => reports.stop("report", part),
  });
  const user = resource("user", { needs: { report: lazy(report) }, start: ({ report }) => report });
  const running = await clock.runUntil(container([user, db], { clock }).start());
  const restarted = running.restart(db);
  await clock.advance(1_000);
  const first = await running.get(user)();
  t.equal(clock.now(), 1_000);
  await clock.runUntil(restarted);
  t.equal(await running.get(user)(), first);
  await clock.runUntil(running.stop());
  t.strictSame(reports.log, ["+report", "-report"]);
});

t.test("a lazy start during a restart of what it needs gets the new instance, whichever comes first", async (t) => {
  for (const turns of [0, 1, 2, 5, 50]) {
    const clock = new FakeClock();
    const parts = new Maker();
    const db = resource("db", {
      start: async () => {
        await clock.sleep(30);
        return parts.start("db");
      },
      stop: (part) => parts.stop("db", part),
    });
    const late = resource("late", {
      needs: { db },
      start: ({ db }) => ({ db, part: parts.start("late") }),
      stop: ({ part }) => parts.stop("late", part),
    });
    const user = resource("user", { needs: { late: lazy(late) }, start: ({ late }) => late });
    const running = await clock.runUntil(container([user, db], { clock }).start());
    const restarted = running.restart(db);
    for (let i = 0; i < turns; i++) await Promise.resolve();
    const used = clock.runUntil(running.get(user)());
    await clock.runUntil(restarted);
    t.ok((await used).db.no > 0);
    const now = await running.get(user)();
    t.equal(now.db, running.get(db));
    t.ok(now.db.open);
    await clock.runUntil(running.stop());
    t.equal(parts.up.size, 0, `after ${turns} turns: ${parts.log.join()}`);
  }
});

t.test(
  "a lazy start that is in progress when what it needs restarts is finished, and then restarted with it",
  async (t) => {
    const clock = new FakeClock();
    const parts = new Maker();
    const db = resource("db", { start: () => parts.start("db"), stop: (part) => parts.stop("db", part) });
    const late = resource("late", {
      needs: { db },
      start: async ({ db }) => {
        await clock.sleep(50);
        t.ok(db.open, "it starts on an instance that is up");
        return { db, part: parts.start("late") };
      },
      stop: ({ part }) => parts.stop("late", part),
    });
    const user = resource("user", { needs: { late: lazy(late) }, start: ({ late }) => late });
    const running = await container([user, db], { clock }).start();
    const used = running.get(user)();
    await clock.advance(10);
    await clock.runUntil(running.restart(db));
    t.equal((await used).db.no, 1);
    t.equal((await running.get(user)()).db, running.get(db));
    await clock.runUntil(running.stop());
    t.equal(parts.up.size, 0);
  },
);

t.test("what is asked for lazily by an instance that is being replaced is made from the new ones alone", async (t) => {
  const clock = new FakeClock();
  const parts = new Maker();
  const db = resource("db", {
    start: async () => {
      if (parts.made > 0) await clock.sleep(30);
      return parts.start("db");
    },
    stop: (part) => parts.stop("db", part),
  });
  const link = resource("link", { needs: { db }, start: ({ db }) => clock.sleep(25).then(() => ({ db })) });
  const late = resource("late", { needs: { db, link }, start: ({ db, link }) => [db, link.db] });
  const user = resource("user", { needs: { db, late: lazy(late) }, start: ({ late }) => late });
  const running = await container([user], { clock }).start();
  const restarted = running.restart(db);
  await clock.advance(10);
  const used = running.get(user)(); // it is the old one still
  await clock.runUntil(restarted);
  const made = await clock.runUntil(used);
  t.strictSame(
    made.map(({ no, open }) => ({ no, open })),
    [2, 2].map((no) => ({ no, open: true })),
  );
  await clock.runUntil(running.stop());
});

t.test("an instance that has to stop first and asks for something lazily meanwhile is refused at once", async (t) => {
  const clock = new FakeClock();
  const failures: unknown[] = [];
  const db = resource("db", { restart: "stop-first", start: () => clock.sleep(10) });
  const late = resource("late", { needs: { db }, start: () => "late" });
  const user = resource("user", {
    needs: { db, late: lazy(late) },
    start: ({ late }) => late,
    stop: async (late) => {
      await late().catch((error: unknown) => failures.push(error));
    },
  });
  const running = await clock.runUntil(container([user], { clock }).start());
  const since = clock.now();
  await clock.runUntil(running.restart(db));
  t.equal(clock.now() - since, 10, "neither waits for the other");
  t.match(failures, [
    {
      code: "RESOURCE_UNAVAILABLE",
      retryable: true,
      message: '"late" cannot start for "user", which is being stopped: what both need is being restarted',
    },
  ]);
  t.equal(await running.get(user)(), "late");
  await clock.runUntil(running.stop());
});

t.test("what an instance asks for lazily once it has stopped first waits for the new ones", async (t) => {
  const clock = new FakeClock();
  let starts = 0;
  const db = resource("db", { restart: "stop-first", start: async () => (await clock.sleep(10), ++starts) });
  const late = resource("late", { needs: { db }, start: ({ db }) => `late of ${db}` });
  const user = resource("user", { needs: { db, late: lazy(late) }, start: ({ late }) => late });
  const running = await clock.runUntil(container([user], { clock }).start());
  const ofOldUser = running.get(user);
  const restarted = running.restart(db);
  await clock.advance(5);
  const used = ofOldUser();
  await clock.runUntil(restarted);
  t.equal(await used, "late of 2");
  await clock.runUntil(running.stop());
});

t.test(
  "what a scope that outlasts its time asks for lazily while that stops first waits for the new ones",
  async (t) => {
    const clock = new FakeClock();
    let starts = 0;
    const db = resource("db", { restart: "stop-first", start: () => ++starts, stop: () => clock.sleep(100) });
    const late = resource("late", { needs: { db }, start: ({ db }) => `late of ${db}` });
    const view = resource("view", { lifetime: "request", needs: { late: lazy(late) }, start: ({ late }) => late });
    const running = await container([db, view], { clock, drainTimeoutMs: 1_000 }).start();
    const work = running.scope([], { db, view }, async ({ view }) => {
      await clock.sleep(1_050);
      return view();
    });
    await clock.runUntil(Promise.all([running.restart(db), work]));
    t.equal(await work, "late of 2");
    t.equal(clock.now(), 1_100);
    await clock.runUntil(running.stop());
  },
);

t.test("a lazy start of what needs only lazily what is being restarted does not wait for it", async (t) => {
  const clock = new FakeClock();
  let starts = 0;
  const db = resource("db", { start: () => clock.sleep(++starts === 1 ? 0 : 5_000) });
  const settings = resource("settings", { start: () => 1 });
  const report = resource("report", { needs: { db: lazy(db), settings }, start: () => "report" });
  const user = resource("user", { needs: { report: lazy(report) }, start: ({ report }) => report });
  const running = await clock.runUntil(container([user, db], { clock }).start());
  const restarted = running.restart(db);
  await clock.advance(1_000);
  t.equal(await running.get(user)(), "report");
  t.equal(clock.now(), 1_000);
  await clock.runUntil(restarted);
  await clock.runUntil(running.stop());
});

t.test("a start that a restart makes may use a lazy need of what is being restarted", async (t) => {
  const clock = new FakeClock();
  const parts = new Maker();
  const db = resource("db", { start: () => parts.start("db"), stop: (part) => parts.stop("db", part) });
  const late = resource("late", {
    needs: { db },
    start: ({ db }) => ({ db, part: parts.start("late") }),
    stop: ({ part }) => parts.stop("late", part),
  });
  let uses = false;
  const user = resource("user", {
    needs: { db, late: lazy(late) },
    start: async ({ late }) => (uses ? (await late()).db : undefined),
  });
  const running = await container([user], { clock }).start();
  uses = true;
  await clock.runUntil(running.restart(db));
  t.equal(clock.now(), 0, "nothing waits for anything");
  t.equal(running.get(user), running.get(db));
  t.equal(running.get(late).db, running.get(db));
  await clock.runUntil(running.stop());
  t.equal(parts.up.size, 0);
});

t.test(
  "a lazy start by a node that is itself starting lazily does not wait for a restart that waits for it",
  async (t) => {
    const clock = new FakeClock();
    const db = resource("db", { start: () => 1 });
    const inner = resource("inner", { needs: { db }, start: () => "inner" });
    const outer = resource("outer", {
      needs: { db, inner: lazy(inner) },
      start: async ({ inner }) => {
        await clock.sleep(20);
        return inner();
      },
    });
    const user = resource("user", { needs: { outer: lazy(outer) }, start: ({ outer }) => outer });
    await using running = await container([user, db], { clock }).start();
    const used = running.get(user)();
    await clock.advance(10);
    await clock.runUntil(Promise.all([running.restart(db), used]));
    t.equal(clock.now(), 40, "outer started, and then started again with db");
    t.equal(await used, "inner");
  },
);

t.test("a scope holds what it starts lazily until it ends", async (t) => {
  const clock = new FakeClock();
  const parts = new Maker();
  const db = resource("db", { start: () => parts.start("db"), stop: (part) => parts.stop("db", part) });
  const late = resource("late", { needs: { db }, start: ({ db }) => db });
  const view = resource("view", { lifetime: "request", needs: { late: lazy(late) }, start: ({ late }) => late });
  const running = await container([view, db], { clock }).start();
  let end: () => void = () => {};
  const work = running.scope([], { view }, async ({ view }) => {
    const part = await view();
    await new Promise<void>((resolve) => (end = resolve));
    return part.open;
  });
  await clock.settle();
  const restarted = running.restart(db);
  await clock.settle();
  end();
  t.equal(await work, true);
  await restarted;
  await running.stop();
});

t.test(
  "idle sessions hold up no restart, and their values follow it: those that hold what was restarted",
  async (t) => {
    const clock = new FakeClock();
    const parts = new Maker();
    const log: string[] = [];
    const db = resource("db", { start: () => parts.start("db"), stop: (part) => parts.stop("db", part) });
    const basket = resource("basket", {
      lifetime: "session",
      needs: { db },
      start: ({ db }) => ({ db }),
      stop: ({ db }) => void log.push(`-basket on ${db.open ? "an open" : "a stopped"} db`),
    });
    const prefs = resource("prefs", { lifetime: "session", start: () => ({ dark: true }) });
    const watch = resource("watch", { lifetime: "session", needs: { db: current(db) }, start: (needs) => needs });
    const running = await container([basket, prefs, watch], { clock }).start();
    const session = running.session("ann");
    const [oldBasket, oldPrefs, oldWatch] = [
      await session.get(basket),
      await session.get(prefs),
      await session.get(watch),
    ];
    await clock.runUntil(running.restart(db));
    t.equal(clock.now(), 0);
    t.strictSame(log, ["-basket on an open db"]);
    t.not(await session.get(basket), oldBasket);
    t.equal((await session.get(basket)).db, running.get(db));
    t.equal(await session.get(prefs), oldPrefs);
    t.equal(await session.get(watch), oldWatch);
    t.equal((await session.get(watch)).db.current, running.get(db));
    await clock.runUntil(running.stop());
    t.equal(parts.up.size, 0);
  },
);

t.test(
  "a session in use during a restart keeps its value for the scopes of before, and has a new one for those of after",
  async (t) => {
    const clock = new FakeClock();
    const parts = new Maker();
    const db = resource("db", { start: () => parts.start("db"), stop: (part) => parts.stop("db", part) });
    const basket = resource("basket", { lifetime: "session", needs: { db }, start: ({ db }) => ({ db }) });
    const running = await container([basket], { clock }).start();
    const session = running.session("ann");
    let end: () => void = () => {};
    const before = session.scope([], { basket }, async ({ basket: mine }, scope) => {
      await new Promise<void>((resolve) => (end = resolve));
      return { isOpen: mine.db.open, isSame: (await scope.get(basket)) === mine };
    });
    await clock.settle();
    const restarted = running.restart(db);
    await clock.settle();
    t.equal(await session.scope([], { basket }, ({ basket }) => basket.db.no), 2);
    end();
    t.strictSame(await before, { isOpen: true, isSame: true });
    await clock.runUntil(restarted);
    t.equal(parts.up.size, 1);
    await clock.runUntil(running.stop());
  },
);

t.test("a cached instance that holds what was restarted is made anew; others live on", async (t) => {
  const clock = new FakeClock();
  const parts = new Maker();
  const db = resource("db", { start: () => parts.start("db"), stop: (part) => parts.stop("db", part) });
  const model = resource("model", {
    needs: { db },
    start: ({ db }) => ({ db }),
    stop: ({ db }) => t.ok(db.open, "it stops before what it holds"),
  });
  const clockwork = resource("clockwork", { start: () => ({}) });
  const query = resource("query", {
    lifetime: "request",
    needs: { model: cached(model, { ttlMs: 60_000 }), clockwork: cached(clockwork, { ttlMs: 60_000 }) },
    start: (needs) => needs,
  });
  const running = await container([query, db], { clock }).start();
  const ask = () => running.scope([], { query }, ({ query }) => query);
  const before = await ask();
  await clock.runUntil(running.restart(db));
  const after = await ask();
  t.equal(after.model.db, running.get(db));
  t.equal(after.clockwork, before.clockwork);
  await clock.runUntil(running.stop());
  t.equal(parts.up.size, 0);
});

t.test("a cached instance that is asked for no more stops when its time is over", async (t) => {
  const clock = new FakeClock();
  let stopped = 0;
  const model = resource("model", { start: () => 1, stop: () => void stopped++ });
  const needs = { model: cached(model, { ttlMs: 1_000 }) };
  const query = resource("query", { lifetime: "request", needs, start: ({ model }) => model });
  const running = await container([query], { clock }).start();
  await running.scope([], { query }, () => 1);
  await clock.advance(999);
  t.equal(stopped, 0);
  await clock.advance(1);
  t.equal(stopped, 1);
  await running.stop();
});

t.test("an optional resource that comes up while another restarts is there for every scope from then on", async (t) => {
  const clock = new FakeClock();
  let isUp = false;
  let starts = 0;
  const cache = resource("cache", {
    criticality: "optional",
    start: async () => {
      if (!isUp) throw new Error("down");
      return { get: (key: string) => key };
    },
  });
  const db = resource("db", { start: () => clock.sleep(++starts === 1 ? 0 : 1_200) });
  const view = resource("view", { lifetime: "request", needs: { cache: current(cache) }, start: ({ cache }) => cache });
  const running = await clock.runUntil(container([view, cache, db], { clock }).start());
  const seen = () => running.scope([], { cache: current(cache) }, ({ cache }) => typeof cache.current);
  t.equal(await seen(), "undefined");
  const restarted = running.restart(db);
  await clock.advance(20);
  isUp = true;
  await clock.advance(1_000);
  t.equal(await seen(), "object", "before the new instance is in use");
  await clock.runUntil(restarted);
  t.equal(await seen(), "object");
  await clock.advance(5_000);
  t.equal(await seen(), "object");
  await clock.runUntil(running.stop());
});

t.test("a resource that was down and is replaced is not tried again", async (t) => {
  const clock = new FakeClock();
  const parts = new Maker();
  let isUp = false;
  const config = resource("config", { start: () => 1 });
  const cache = resource("cache", {
    criticality: "optional",
    needs: { config },
    start: () => {
      if (!isUp) throw new Error("down");
      return parts.start("cache");
    },
    stop: (part) => parts.stop("cache", part),
  });
  const running = await container([cache, config], { clock }).start();
  await clock.runUntil(running.restart(config));
  isUp = true;
  await clock.advance(60_000);
  t.strictSame(parts.log, ["+cache"]);
  await clock.runUntil(running.stop());
  t.equal(parts.up.size, 0);
});

t.test(
  "a resource that was down and comes up once it is replaced does not take the place of the new one",
  async (t) => {
    const clock = new FakeClock();
    const parts = new Maker();
    let isUp = false;
    const config = resource("config", { start: () => 1 });
    const cache = resource("cache", {
      criticality: "optional",
      needs: { config },
      start: () => {
        if (!isUp) throw new Error("down");
        return parts.start("cache");
      },
      stop: (part) => parts.stop("cache", part),
    });
    const running = await container([cache, config], { clock }).start();
    const scope = running.scope();
    await scope.resolve({ config });
    isUp = true;
    const restarted = running.restart(config);
    await clock.advance(1_000);
    t.equal(parts.made, 2, "the old one has come up too, as it stops only after the scope");
    t.equal(running.get(cache)?.no, 1);
    await scope.close();
    await clock.runUntil(restarted);
    t.ok(running.get(cache)?.open);
    t.equal(parts.up.size, 1);
    await clock.runUntil(running.stop());
    t.equal(parts.up.size, 0);
  },
);

t.test("a retry that does not end leaves the rest of what a restart stops its time", async (t) => {
  const clock = new FakeClock();
  let [tries, stoppedAt] = [0, 0];
  const config = resource("config", { start: () => 1 });
  const cache = resource("cache", {
    criticality: "optional",
    needs: { config },
    start: async () => {
      if (++tries === 1) throw new Error("down");
      if (tries === 2) await clock.sleep(100_000); // it ignores its signal
      return tries;
    },
  });
  const other = resource("other", {
    needs: { config },
    start: () => 1,
    stop: async (_other, { signal }) => {
      await clock.sleep(100, signal);
      stoppedAt = clock.now();
    },
  });
  const running = await container([cache, other], { clock, stopTimeoutMs: 1_000 }).start();
  await clock.advance(500);
  t.equal(tries, 2);
  await clock.runUntil(running.restart(config));
  t.ok(stoppedAt > 500 && stoppedAt < 1_500, `stopped at ${stoppedAt} ms`);
  await clock.runUntil(running.stop().catch(() => {})); // it names what was left behind
});

t.test("scopes and prepared needs see what a restart has enabled or disabled", async (t) => {
  let isOn = false;
  const config = resource("config", { start: () => ({ isOn }) });
  const metrics = resource("metrics", {
    needs: { config },
    enabled: ({ config }) => config.isOn,
    start: () => ({ n: 1 }),
  });
  await using running = await container([config, metrics]).start();
  const needs = { metrics: optional(metrics) };
  const prepared = running.prepare(needs);
  const seen = async () => {
    const scope = prepared.open([]);
    await prepared.enter(scope);
    const { metrics: ofPrepared } = scope.result;
    await scope.close();
    const ofScope = await running.scope([], needs, ({ metrics }) => metrics);
    return [typeof ofPrepared, typeof ofScope, typeof running.get(metrics)];
  };
  t.strictSame(await seen(), ["undefined", "undefined", "undefined"]);
  isOn = true;
  await running.restart(config);
  t.strictSame(await seen(), ["object", "object", "object"]);
  isOn = false;
  await running.restart(config);
  t.strictSame(await seen(), ["undefined", "undefined", "undefined"]);
});

t.test(
  "scopes see what a restart has enabled, whatever else starts or waits before, meanwhile and after",
  async (t) => {
    for (const order of ["before", "meanwhile", "after"] as const) {
      const clock = new FakeClock();
      let isOn = false;
      const config = resource("config", {
        restart: order === "meanwhile" ? "stop-first" : "start-first",
        start: () => ({ isOn }),
        stop: () => clock.sleep(10),
      });
      const metrics = resource("metrics", { needs: { config }, enabled: ({ config }) => config.isOn, start: () => 1 });
      const late = resource("late", { start: () => "late" });
      const user = resource("user", { needs: { late: lazy(late) }, start: ({ late }) => late });
      const running = await container([config, metrics, user], { clock }).start();
      const needs = { metrics: optional(metrics) };
      const seen = () => running.scope([], needs, ({ metrics }) => metrics);
      t.equal(await seen(), undefined);
      if (order === "before") await running.get(user)();
      isOn = true;
      const restarted = running.restart(config);
      await clock.settle();
      const scope = running.scope();
      await clock.runUntil(restarted);
      if (order === "after") await running.get(user)();
      t.equal(await seen(), 1, order);
      await scope.close();
      await clock.runUntil(running.stop());
    }
  },
);

t.test("a restart stops the old instance once the last of the scopes that use it has ended", async (t) => {
  const clock = new FakeClock();
  const parts = new Maker();
  const db = resource("db", { start: () => parts.start("db"), stop: (part) => parts.stop("db", part) });
  const running = await container([db], { clock }).start();
  const old = running.get(db);
  const scopes = [running.scope(), running.scope(), running.scope()];
  const restarted = running.restart(db);
  for (const scope of scopes) {
    await clock.settle();
    t.ok(old.open);
    await scope.close();
  }
  await restarted;
  t.notOk(old.open);
  t.equal(clock.now(), 0);
  await clock.runUntil(running.stop());
});

t.test("an open scope that resolves more needs after a restart has them as they were when it began", async (t) => {
  const clock = new FakeClock();
  let isOn = true;
  const config = resource("config", { start: () => ({ isOn }) });
  const metrics = resource("metrics", { needs: { config }, enabled: ({ config }) => config.isOn, start: () => 1 });
  await using running = await container([config, metrics], { clock }).start();
  const scope = running.scope();
  isOn = false;
  const restarted = running.restart(config);
  await clock.settle();
  t.equal(running.get(metrics), undefined);
  t.equal((await scope.resolve({ metrics: optional(metrics) })).metrics, 1);
  await scope.close();
  await clock.runUntil(restarted);
});

t.test("a long scope of an earlier generation still holds what a later restart replaces", async (t) => {
  const clock = new FakeClock();
  const parts = new Maker();
  const make = (name: string) =>
    resource(name, { start: () => parts.start(name), stop: (part) => parts.stop(name, part) });
  const [one, two] = [make("one"), make("two")];
  const running = await container([one, two], { clock, drainTimeoutMs: 1_000 }).start();
  const scope = running.scope();
  const { held } = await scope.resolve({ held: two });
  await clock.runUntil(running.restart(one));
  t.equal(clock.now(), 1_000, "it had its time");
  const restarted = running.restart(two);
  await clock.advance(500);
  t.ok(held.open);
  await scope.close();
  await clock.runUntil(restarted);
  t.equal(clock.now(), 1_500);
  await clock.runUntil(running.stop());
});

t.test("the error of a failed restart says what is in use", async (t) => {
  for (const order of ["start-first", "stop-first"] as const) {
    let starts = 0;
    const port = resource("port", {
      restart: order,
      start: () => {
        if (++starts === 2) throw new Error("address in use");
        return starts;
      },
    });
    await using running = await container([port]).start();
    const result =
      order === "start-first"
        ? "the old one stays in use"
        : "the old one had to stop first, so there is none until a restart succeeds";
    await t.rejects(running.restart(port), {
      code: "RESTART_FAILED",
      message: `"port" was not restarted: address in use; ${result}`,
    });
    await running.restart(port);
    t.equal(running.get(port), 3);
  }
});

t.test("a lazy start that needs what a failed restart has stopped is refused", async (t) => {
  let starts = 0;
  const port = resource("port", {
    restart: "stop-first",
    start: () => {
      if (++starts === 2) throw new Error("address in use");
      return starts;
    },
  });
  const late = resource("late", { needs: { port }, start: ({ port }) => port });
  const user = resource("user", { needs: { late: lazy(late) }, start: ({ late }) => late });
  await using running = await container([user, port]).start();
  await t.rejects(running.restart(port), { code: "RESTART_FAILED" });
  await t.rejects(running.get(user)(), { code: "RESTART_FAILED", message: /address in use/ });
  await running.restart(port);
  t.equal(await running.get(user)(), 3);
});

t.test("a caller that has gone gives a restart up, in the queue and while the new instance starts", async (t) => {
  const clock = new FakeClock();
  const parts = new Maker();
  let delayMs = 0;
  const db = resource("db", {
    start: async (_, { signal }) => {
      await clock.sleep(delayMs, signal);
      return parts.start("db");
    },
    stop: (part) => parts.stop("db", part),
  });
  const running = await clock.runUntil(container([db], { clock }).start());
  delayMs = 5_000;
  const abort = new AbortController();
  const first = running.restart(db, { timeoutMs: 1_000 });
  const second = running.restart(db, { signal: abort.signal });
  void second.catch(() => {});
  await clock.advance(500);
  abort.abort(new Error("gone"));
  await t.rejects(second, { code: "RESTART_FAILED", message: /its caller has gone/ });
  t.equal(clock.now(), 500);
  await t.rejects(clock.runUntil(first), { code: "RESTART_FAILED", message: /its caller's time is over/ });
  t.equal(clock.now(), 1_000);
  t.equal(running.get(db).no, 1);
  await clock.runUntil(running.stop());
  t.equal(parts.up.size, 0);
});

t.test("a handler that restarts what it holds waits for that at most until its request's deadline", async (t) => {
  const clock = new FakeClock();
  const parts = new Maker();
  const db = resource("db", { start: () => parts.start("db"), stop: (part) => parts.stop("db", part) });
  const running = await container([db], { clock }).start();
  const handled = runWithContext({ deadline: 2_000 }, () =>
    running.scope([], { db }, async ({ db: mine }) => {
      await running.restart(db);
      return [mine.open, running.get(db) !== mine];
    }),
  );
  t.strictSame(await clock.runUntil(handled), [true, true]);
  t.equal(clock.now(), 2_000);
  await clock.settle();
  t.strictSame(parts.log, ["+db", "+db", "-db"]);
  await clock.runUntil(running.stop());
});

t.test("a caller of a lazy start waits until its deadline; the start goes on for the next", async (t) => {
  const clock = new FakeClock();
  let starts = 0;
  const late = resource("late", { start: async () => (await clock.sleep(3_000), ++starts) });
  const user = resource("user", { needs: { late: lazy(late) }, start: ({ late }) => late });
  const running = await container([user], { clock }).start();
  const hasty = runWithContext({ deadline: 1_000 }, () => running.get(user)());
  await t.rejects(clock.runUntil(hasty), { code: "DEADLINE_EXCEEDED", message: /the start of "late"/ });
  t.equal(clock.now(), 1_000);
  t.equal(await clock.runUntil(running.get(user)()), 1);
  t.equal(clock.now(), 3_000);
  await clock.runUntil(running.stop());
});

t.test(
  "two lazy starts share what both need, and the failure of one does not take from the other what it needs",
  async (t) => {
    const clock = new FakeClock();
    const parts = new Maker();
    const engine = resource("engine", {
      start: async () => (await clock.sleep(10), parts.start("engine")),
      stop: (part) => parts.stop("engine", part),
    });
    const bad = resource("bad", {
      needs: { engine },
      start: async () => {
        await clock.sleep(5);
        throw new Error("bad");
      },
    });
    const good = resource("good", { needs: { engine }, start: async ({ engine }) => (await clock.sleep(50), engine) });
    const user = resource("user", { needs: { bad: lazy(bad), good: lazy(good) }, start: (needs) => needs });
    const running = await container([user], { clock }).start();
    const failed = t.rejects(running.get(user).bad(), { code: "START_FAILED" });
    const used = running.get(user).good();
    await clock.runUntil(Promise.all([failed, used]));
    t.ok((await used).open);
    t.strictSame(parts.log, ["+engine"]);
    await clock.runUntil(running.stop());
    t.equal(parts.up.size, 0);
  },
);

t.test("a scope that outlasts its time can make nothing from what a restart has stopped", async (t) => {
  for (const restart of ["start-first", "stop-first"] as const) {
    const clock = new FakeClock();
    const db = resource("db", { restart, start: () => ({ on: true }) });
    const report = resource("report", { needs: { db }, start: ({ db }) => db.on });
    const view = resource("view", {
      lifetime: "request",
      needs: { report: cached(report, { ttlMs: 60_000 }) },
      start: ({ report }) => report,
    });
    const running = await container([db, view], { clock, drainTimeoutMs: 500 }).start();
    const late = running.scope([], { db }, async (_needs, scope) => {
      await clock.sleep(600);
      return scope.get(view);
    });
    const restarted = running.restart(db);
    const refused = t.rejects(clock.runUntil(late), {
      code: "RESOURCE_UNAVAILABLE",
      message:
        '"report" cannot start: "db", which it needs, has been stopped, and the scope that asks for it outlasted its time',
    });
    await clock.runUntil(restarted);
    await refused;
    t.equal(await running.scope([], { view }, ({ view }) => view), true);
    await clock.runUntil(running.stop());
  }
});
