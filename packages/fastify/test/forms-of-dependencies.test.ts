import { currentContext, generator, optional, resource, when } from "@steward/core";
import t from "tap";
import { from, handler, HttpError, security } from "../src/index.ts";
import { got, served, turns } from "./app.ts";

const skip = from.query("skip", { type: "integer", default: 0 });
const q = from.query("q", { type: "string" }, { required: false });

class Page {
  readonly q: string | undefined;
  readonly skip: number;

  constructor({ q, skip }: { q: string | undefined; skip: number }) {
    this.q = q;
    this.skip = skip;
  }
}

const page = resource("page", { lifetime: "request", needs: { q, skip }, start: (needs) => new Page(needs) });

t.test("K01, K02: a class is made of request inputs; a wrong one says where it stands", async (t) => {
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ page }, ({ page }) => ({ own: page instanceof Page, ...page })),
    ),
  );
  t.strictSame(await got(client, "/?q=z&skip=3"), { own: true, q: "z", skip: 3 });
  const wrong = await client.get("/?skip=x");
  t.equal(wrong.statusCode, 422);
  t.equal(wrong.json().errors[0].path, "query.skip");
});

t.test("K03, K04: an object with state and a method is a dependency: awaited, or a generator", async (t) => {
  const log: string[] = [];
  class Checker {
    readonly #fixed: string;
    constructor(fixed: string) {
      this.#fixed = fixed;
    }
    async check(text: string | undefined): Promise<boolean> {
      return text?.includes(this.#fixed) === true;
    }
    async *open() {
      yield this.#fixed;
      log.push(`left ${this.#fixed}`);
    }
  }
  const bar = new Checker("bar");
  const checked = resource("checked", { lifetime: "request", needs: { q }, start: ({ q }) => bar.check(q) });
  const opened = resource("opened", { lifetime: "request", start: generator(() => bar.open()) });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ checked, opened }, (values) => values),
    ),
  );
  t.strictSame(await got(client, "/?q=foobar"), { checked: true, opened: "bar" });
  await turns();
  t.strictSame(log, ["left bar"]);
});

t.test("K05, K06: bound and wrapped functions work; a wrapped generator is marked", async (t) => {
  const log: string[] = [];
  const later = async (name: string, { skip }: { skip: number }) => `${name} ${skip}`;
  const logging =
    <A extends unknown[], R>(fn: (...args: A) => R) =>
    (...args: A): R => {
      log.push("called");
      return fn(...args);
    };
  async function* opens() {
    yield "open";
    log.push("left");
  }
  const bound = resource("bound", { lifetime: "request", needs: { skip }, start: later.bind(undefined, "bound") });
  const wrapped = resource("wrapped", { lifetime: "request", start: generator(logging(opens)) });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ bound, wrapped }, (values) => values),
    ),
  );
  t.strictSame(await got(client), { bound: "bound 0", wrapped: "open" });
  await turns();
  t.strictSame(log, ["called", "left"]);
});

t.test(
  "K08: a need that is none is refused where the handler is made (deviation: FastAPI waits for the request)",
  async (t) => {
    t.throws(() => handler({ nothing: undefined as never }, () => "ok"), {
      code: "NEED_INVALID",
      message: /"a handler" cannot need "nothing"/,
    });
    t.throws(() => handler({}, () => "ok", { dependencies: [undefined as never] }), { code: "NEED_INVALID" });
  },
);

t.test("K09: the need wins over a default of the handler's own", async (t) => {
  const one = resource("one", { lifetime: "request", start: () => 1 });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ one }, ({ one = 5 }) => ({ one })),
    ),
  );
  t.strictSame(await got(client), { one: 1 });
});

t.test(
  "K10: a handler is a function: called by itself it takes values (deviation: FastAPI hands over markers)",
  async (t) => {
    const greet = ({ page }: { page: Page }) => `skip ${page.skip}`;
    await using client = await served((app) => app.get("/", handler({ page }, greet)));
    t.equal((await client.get("/?skip=2")).body, "skip 2");
    t.equal(greet({ page: new Page({ q: undefined, skip: 9 }) }), "skip 9");
  },
);

t.test(
  "K11: hooks have dependencies too, and share them with the handler (deviation: FastAPI has them in routes only)",
  async (t) => {
    let made = 0;
    const log: string[] = [];
    const user = resource("user", {
      lifetime: "request",
      async *start() {
        yield ++made;
        log.push("left");
      },
    });
    await using client = await served((app) => {
      app.addHook(
        "preHandler",
        handler({ user, page }, ({ user, page }) => void log.push(`hook ${user} ${page.skip}`)),
      );
      app.get(
        "/",
        handler({ user }, ({ user }) => ({ user })),
      );
      app.get("/plain", async () => "no needs of its own");
      app.get(
        "/no",
        {
          preHandler: handler({ user }, () => {
            throw new HttpError(403, "no");
          }),
        },
        async () => "never",
      );
    });
    t.strictSame(await got(client, "/?skip=4"), { user: 1 });
    await turns();
    t.strictSame(log.splice(0), ["hook 1 4", "left"]);
    t.equal((await client.get("/plain")).statusCode, 200);
    await turns();
    t.strictSame(log.splice(0), ["hook 2 0", "left"]);
    t.equal((await client.get("/no")).statusCode, 403);
    await turns();
    t.strictSame(log, ["hook 3 0"]); // the error was thrown in at the yield
    t.equal(client.app.steward.stats().openRequests, 0);
  },
);

t.test(
  "K12, K13: all dependencies run on the event loop, in the request's context (deviation: FastAPI has threads)",
  async (t) => {
    const ids: (string | undefined)[] = [];
    const sees = (name: string, wait: boolean) =>
      resource(name, {
        lifetime: "request",
        start: () => {
          ids.push(currentContext()?.requestId);
          return wait ? new Promise((resolve) => setImmediate(resolve)) : undefined;
        },
      });
    await using client = await served((app) =>
      app.get(
        "/",
        handler(
          { a: sees("a", false), b: sees("b", true), c: sees("c", false) },
          async () => `${ids.push(currentContext()?.requestId)}`,
        ),
      ),
    );
    await client.get("/", { headers: { "x-request-id": "one" } });
    t.strictSame(ids, ["one", "one", "one", "one"]);
  },
);

t.test("K14: what counts is the definition, not the need that points to it", async (t) => {
  let made = 0;
  const d = resource("d", { lifetime: "request", needs: { requiredScopes: from.requiredScopes }, start: () => ++made });
  t.not(security(d, ["s"]), security(d, ["s"]));
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ a: security(d, ["s"]), b: security(d, ["s"]), c: optional(d) }, ({ a, b, c }) => [a, b, c]),
    ),
  );
  t.strictSame(await got(client), [1, 1, 2]);
});

t.test("K16: a need may have the name of an input", async (t) => {
  const user = resource("dep", {
    lifetime: "request",
    needs: { user: from.query("user") },
    start: ({ user }) => `dep:${user}`,
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ user }, (values) => values),
    ),
  );
  t.strictSame(await got(client, "/?user=z"), { user: "dep:z" });
});

t.test("a condition chooses which branch is made, and only its inputs are read", async (t) => {
  const made: string[] = [];
  const admin = resource("admin", { lifetime: "request", needs: { q }, start: ({ q }) => q === "admin" });
  const one = resource("one", {
    lifetime: "request",
    needs: { key: from.query("key") },
    start: ({ key }) => `${made.push("one")} ${key}`,
  });
  const other = resource("other", { lifetime: "request", start: () => `${made.push("other")} other` });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ view: when(admin, one, other) }, ({ view }) => ({ view })),
    ),
  );
  t.strictSame(await got(client, "/"), { view: "1 other" });
  t.strictSame(await got(client, "/?q=admin&key=k"), { view: "2 k" });
  t.equal((await client.get("/?q=admin")).statusCode, 422);
  t.strictSame(made, ["other", "one"]);
});

t.test("siblings are made at the same time on request; what they share, once", async (t) => {
  let shared = 0;
  let waiting = 0;
  let most = 0;
  const base = resource("base", { lifetime: "request", start: async () => ++shared });
  const slow = (name: string) =>
    resource(name, {
      lifetime: "request",
      needs: { base },
      start: async ({ base }) => {
        most = Math.max(most, ++waiting);
        await new Promise((resolve) => setImmediate(resolve));
        waiting--;
        return base;
      },
    });
  const parent = resource("parent", {
    lifetime: "request",
    needs: { c: slow("c"), d: slow("d") },
    start: ({ c, d }) => [c, d],
  });
  const needs = { a: slow("a"), b: slow("b"), parent };
  await using client = await served((app) => {
    app.get(
      "/parallel",
      handler(needs, (values) => values, { parallel: true }),
    );
    app.get(
      "/serial",
      handler(needs, (values) => values),
    );
  });
  t.strictSame(await got(client, "/parallel"), { a: 1, b: 1, parent: [1, 1] });
  t.equal(most, 4);
  most = 0;
  t.strictSame(await got(client, "/serial"), { a: 2, b: 2, parent: [2, 2] });
  t.equal(most, 1);
});

t.test("an error of one of several siblings that run at once ends all the others", async (t) => {
  const log: string[] = [];
  const opens = resource("opens", {
    lifetime: "request",
    async *start() {
      await new Promise((resolve) => setImmediate(resolve));
      yield 1;
      log.push("left");
    },
  });
  const fails = resource("fails", {
    lifetime: "request",
    needs: { request: from.request },
    start: async () => Promise.reject(new HttpError(409, "no")),
  });
  await using client = await served((app) =>
    app.get(
      "/",
      handler({ fails, opens }, () => "ok", { parallel: true }),
    ),
  );
  t.equal((await client.get("/")).statusCode, 409);
  t.strictSame(log, []);
  t.equal(client.app.steward.stats().openRequests, 0);
});
