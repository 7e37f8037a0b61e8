import { fresh, resource } from "@steward/core";
import t from "tap";
import { from, handler, parametrised, security } from "../src/index.ts";
import { counter, got, served, turns } from "./app.ts";

t.test("C02: a value is made anew for the next request", async (t) => {
  const d = counter();
  const twice = resource("twice", { lifetime: "request", needs: { d }, start: ({ d }) => d });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ d, twice }, (values) => values),
    ),
  );
  t.strictSame(await got(client), { d: 1, twice: 1 });
  t.strictSame(await got(client), { d: 2, twice: 2 });
});

t.test(
  "C04, C05, C06: a fresh instance is shared with nobody and replaces nothing (deviation: FastAPI stores the first)",
  async (t) => {
    const pair = counter();
    const middle = counter();
    const last = counter();
    await using client = await served((app) => {
      app.get(
        "/c04",
        handler({ a: fresh(pair), b: pair }, ({ a, b }) => [a, b]),
      );
      app.get(
        "/c05",
        handler({ a: middle, b: fresh(middle), c: middle }, ({ a, b, c }) => [a, b, c]),
      );
      app.get(
        "/c06",
        handler({ a: fresh(last), b: fresh(last), c: last }, ({ a, b, c }) => [a, b, c]),
      );
    });
    t.strictSame(await got(client, "/c04"), [1, 2]);
    t.strictSame(await got(client, "/c05"), [1, 2, 1]);
    t.strictSame(await got(client, "/c06"), [1, 2, 3]);
  },
);

t.test("C07: what a fresh instance needs is shared", async (t) => {
  const s = counter("s");
  let made = 0;
  const n = resource("n", { lifetime: "request", needs: { s }, start: ({ s }) => [++made, s] });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ a: fresh(n), b: fresh(n) }, ({ a, b }) => [a, b]),
    ),
  );
  t.strictSame(await got(client), [
    [1, 1],
    [2, 1],
  ]);
});

t.test("C08: fresh generators are entered and left each for itself, last first", async (t) => {
  const log: string[] = [];
  let entered = 0;
  const g = resource("g", {
    lifetime: "request",
    async *start() {
      const n = ++entered;
      log.push(`enter${n}`);
      yield n;
      log.push(`exit${n}`);
    },
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ a: fresh(g), b: fresh(g) }, () => `${log.push("ep")}`),
    ),
  );
  await client.get("/");
  await turns();
  t.strictSame(log, ["enter1", "enter2", "ep", "exit2", "exit1"]);
});

t.test("C09: the app's, the route's and the handler's dependency is one", async (t) => {
  const d = counter();
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ d }, ({ d }) => d, { dependencies: [d] }),
      ),
    { dependencies: { d } },
  );
  t.equal(await got(client), 1);
});

t.test("C11: what throws is made once, and what stands behind it not at all", async (t) => {
  let called = 0;
  let later = 0;
  const d = resource("d", {
    lifetime: "request",
    start: (): number => {
      called++;
      throw new Error("no");
    },
  });
  const again = resource("again", { lifetime: "request", needs: { d }, start: ({ d }) => d });
  const m = resource("m", { lifetime: "request", start: () => ++later });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ d, again, m }, () => "ok"),
    ),
  );
  t.equal((await client.get("/")).statusCode, 500);
  t.strictSame([called, later], [1, 0]);
});

t.test(
  "C12, V18: two definitions from one factory are two; `parametrised` makes them one for the same parameters",
  async (t) => {
    let made = 0;
    const make = (name: string) => resource(name, { lifetime: "request", start: () => ++made });
    const kept = parametrised(make);
    await using client = await served((app) => {
      app.get(
        "/two",
        handler({ a: make("x"), b: make("x") }, ({ a, b }) => [a, b]),
      );
      app.get(
        "/one",
        handler({ a: kept("x"), b: kept("x"), c: kept("y") }, ({ a, b, c }) => [a, b, c]),
      );
    });
    t.strictSame(await got(client, "/two"), [1, 2]);
    t.strictSame(await got(client, "/one"), [3, 3, 4]);
  },
);

t.test("C14: a bound method is one dependency, because the definition is what counts", async (t) => {
  class Counting {
    count = 0;
    next(): number {
      return ++this.count;
    }
  }
  const counting = new Counting();
  const next = resource("next", { lifetime: "request", start: counting.next.bind(counting) });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ a: next, b: next }, ({ a, b }) => [a, b]),
    ),
  );
  t.strictSame(await got(client), [1, 1]);
});

/** A counter that decides itself what scopes are good for. */
function deciding() {
  let made = 0;
  return resource("deciding", {
    lifetime: "request",
    needs: { requiredScopes: from.requiredScopes },
    start: () => ++made,
  });
}

t.test("C15: under other scopes a dependency is another one", async (t) => {
  const d = deciding();
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ a: security(d), b: security(d, ["s"]), c: security(d, ["s"]) }, ({ a, b, c }) => [a, b, c]),
    ),
  );
  t.strictSame(await got(client), [1, 2, 2]);
});

t.test("C16: the order of scopes does not matter", async (t) => {
  const d = deciding();
  const needs = {
    a: d,
    b: security(d, ["t"]),
    c: security(d, ["t"]),
    d: security(d, ["t", "s"]),
    e: security(d, ["s", "t"]),
    f: security(d),
  };
  await using client = await served((app) =>
    app.get(
      "/",
      handler(needs, (values) => Object.values(values)),
    ),
  );
  t.strictSame(await got(client), [1, 2, 2, 3, 3, 1]);
});

t.test("C18: what looks at scopes is made for each path to it; what it needs besides, once", async (t) => {
  let users = 0;
  const seen: (readonly string[])[] = [];
  const db = counter("db");
  const user = resource("user", {
    lifetime: "request",
    needs: { db, requiredScopes: from.requiredScopes },
    start: ({ db, requiredScopes }) => {
      seen.push(requiredScopes.list);
      return { user: ++users, db };
    },
  });
  const me = resource("me", {
    lifetime: "request",
    needs: { user: security(user, ["me"]) },
    start: ({ user }) => user,
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ me, items: security(me, ["items"]) }, (values) => values),
    ),
  );
  t.strictSame(await got(client), { me: { user: 1, db: 1 }, items: { user: 2, db: 1 } });
  t.strictSame(seen, [["me"], ["items", "me"]]);
});

t.test("C19: a generator below two paths with scopes is entered once", async (t) => {
  const log: string[] = [];
  const db = resource("db", {
    lifetime: "request",
    async *start() {
      log.push("db+1");
      yield 1;
      log.push("db-1");
    },
  });
  const user = resource("user", {
    lifetime: "request",
    needs: { db, requiredScopes: from.requiredScopes },
    start: ({ db }) => db,
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ a: security(user, ["a"]), b: security(user, ["b"]) }, () => "ok"),
    ),
  );
  await client.get("/");
  await turns();
  t.strictSame(log, ["db+1", "db-1"]);
});

t.test("C20, C21: a definition has one lifetime, so it is one value however it is needed (deviation)", async (t) => {
  const d = counter();
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ a: d, b: security(d), c: d }, ({ a, b, c }) => [a, b, c]),
    ),
  );
  t.strictSame(await got(client), [1, 1, 1]);
});

t.test("C22: twenty requests at once share nothing, and nothing remains", async (t) => {
  const live = new Set<object>();
  let most = 0;
  const g = resource("g", {
    lifetime: "request",
    async *start() {
      const own = {};
      live.add(own);
      most = Math.max(most, live.size);
      yield own;
      live.delete(own);
    },
  });
  const other = resource("other", { lifetime: "request", needs: { g }, start: ({ g }) => g });
  const all = new Set<object>();
  let waiting = 0;
  let go: () => void = () => {};
  const everybody = new Promise<void>((resolve) => (go = resolve));
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ g, other }, async ({ g, other }) => {
        all.add(g);
        if (++waiting === 20) go();
        await everybody;
        return g === other;
      }),
    ),
  );
  const same = await Promise.all(Array.from({ length: 20 }, () => got(client)));
  await turns(20);
  t.ok(same.every((one) => one === true));
  t.strictSame([all.size, most, live.size, client.app.steward.stats().openRequests], [20, 20, 0, 0]);
});
