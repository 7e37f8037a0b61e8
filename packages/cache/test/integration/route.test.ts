import { container } from "@steward/container";
import { resource, type CachedResponse } from "@steward/core";
import type { Needs } from "@steward/core/container";
import { from, handler, serve, type NodeRouteOptions } from "@steward/server/node";
import { HttpError, security, sessionCookie } from "@steward/server";
import { until } from "@steward/testing";
import t, { type Test } from "tap";
import { cache, type CacheOptions } from "../../src/index.ts";

const responses = cache<CachedResponse>();
const USERS: Readonly<Record<string, { readonly subject: string; readonly scopes: readonly string[] }>> = {
  ann: { subject: "ann", scopes: ["read"] },
  bob: { subject: "bob", scopes: ["read"] },
  eve: { subject: "eve", scopes: ["write"] },
};
const me = resource("me", {
  lifetime: "request",
  needs: { token: from.bearer() },
  start: ({ token }) => {
    const user = USERS[token];
    if (user === undefined) throw new HttpError(401, "who?");
    return user;
  },
});

async function up(
  t: Test,
  routes: (answers: ReturnType<typeof responses>) => readonly NodeRouteOptions[],
  options: CacheOptions = {},
) {
  const answers = responses("answers", { ttlMs: 60_000, jitter: 0, ...options });
  const web = serve("web", { listen: () => ({ port: 0 }), routes: routes(answers), session: sessionCookie("sid") });
  const running = await container([web, answers]).start();
  t.teardown(() => running.stop());
  const ask = (path: string, user?: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${running.get(web).url}${path}`, {
      headers: user === undefined ? headers : { ...headers, authorization: `Bearer ${user}` },
    });
  return { ask, cache: running.get(answers) };
}

t.test("no cell of the matrix gives what another may have, or anything to one who is refused", async (t) => {
  let made = 0;
  const handle = ({ me }: { me: { subject: string } }): object => ({ of: me.subject, made: ++made });
  for (const shared of [false, true]) {
    made = 0;
    const { ask, cache } = await up(
      t,
      (cache) => [
        {
          method: "GET",
          path: "/videos",
          handler: handler({ me: security(me, ["read"]) }, shared ? () => ({ made: ++made }) : handle, {
            cacheResponse: shared
              ? { cache, shared }
              : { cache, principal: ({ me }) => me.subject, tags: ({ me }) => [me.subject] },
          }),
        },
      ],
      { staleMs: 60_000 },
    );
    const matrix = async (): Promise<unknown[]> => {
      const cells: unknown[] = [];
      for (const user of [undefined, "nobody", "eve", "ann", "bob"]) {
        const answer = await ask("/videos", user);
        const text = await answer.text();
        cells.push(answer.status === 200 ? text : answer.status);
      }
      return cells;
    };
    const cell = (of: string, made: number): string => JSON.stringify(shared ? { made } : { of, made });
    const first = [401, 401, 403, cell("ann", 1), cell("bob", shared ? 1 : 2)];
    t.strictSame(await matrix(), first, "cold");
    t.strictSame(await matrix(), first, "warm");
    if (shared) continue;
    await cache.invalidate("ann");
    t.strictSame(await matrix(), [401, 401, 403, cell("ann", 3), cell("bob", 2)], "one user's were made void");
  }
});

t.test(
  "one request makes anew what is stale; others get the old answer, and so does that one where it fails",
  async (t) => {
    let made = 0;
    let goOn = (): void => {};
    const { ask } = await up(
      t,
      (cache) => [
        {
          method: "GET",
          path: "/",
          handler: handler(
            { me: security(me, ["read"]) },
            async () => {
              const mine = ++made;
              if (mine === 2) await new Promise<void>((resolve) => (goOn = resolve));
              if (mine === 2) throw new Error("the database is away");
              return { made: mine };
            },
            { cacheResponse: { cache, principal: ({ me }) => me.subject } },
          ),
        },
      ],
      { ttlMs: 1, staleMs: 60_000, retryMs: 0 },
    );
    const text = async (): Promise<string> => (await ask("/", "ann")).text();
    t.equal(await text(), '{"made":1}');
    const over = performance.now() + 5;
    await until(() => performance.now() > over, "its time is over");
    const refreshing = text();
    await until(() => made === 2, "it is made anew");
    t.equal(await text(), '{"made":1}', "while another request makes it");
    t.strictSame(
      [(await ask("/", "eve")).status, (await ask("/")).status],
      [403, 401],
      "what is stale is not for everybody",
    );
    goOn();
    t.equal(await refreshing, '{"made":1}', "it has failed");
    t.equal(await text(), '{"made":3}');
  },
);

t.test("a tag makes answers void", async (t) => {
  let title = "one";
  const { ask, cache } = await up(t, (cache) => [
    {
      method: "GET",
      path: "/videos/:id",
      handler: handler({ id: from.path("id") }, () => title, {
        cacheResponse: { cache, shared: true, tags: ({ id }) => [`video:${id}`] },
      }),
    },
  ]);
  const text = async (): Promise<string> => (await ask("/videos/7")).text();
  t.equal(await text(), "one");
  title = "two";
  t.equal(await text(), "one");
  await cache.invalidate("video:7");
  t.equal(await text(), "two");
});

t.test("without its cache a route answers as if it had none", async (t) => {
  let made = 0;
  const broken = { getOrLoad: () => Promise.reject(new Error("away")) };
  const { ask } = await up(t, () => [
    {
      method: "GET",
      path: "/",
      handler: handler({}, () => ++made, { cacheResponse: { cache: broken, shared: true } }),
    },
  ]);
  t.strictSame([await (await ask("/")).text(), await (await ask("/")).text()], ["1", "2"]);
});

t.test("a route says for whom its answers are, takes no body, and has a name of its own", async (t) => {
  const answers = responses("answers", {});
  const make = (options: object, needs: Needs = {}) =>
    handler(needs as {}, () => 1, { cacheResponse: { cache: answers, ...options } as never });
  t.throws(() => make({}), { code: "OPTIONS_INVALID", message: /principal/ });
  t.throws(() => make({ shared: true, principal: () => "x" }), { code: "OPTIONS_INVALID" });
  t.throws(() => make({ shared: true, ttl: 5 }), { message: /did you mean "ttlMs"/ });
  t.throws(() => make({ shared: true, vary: ["a b"] }), { message: /vary/ });
  const start = (...routes: NodeRouteOptions[]) =>
    container([serve("web", { listen: () => ({ port: 0 }), routes, session: sessionCookie("sid") }), answers]).start();
  const body = make({ shared: true }, { body: from.body("it", { type: "object" }) });
  await t.rejects(start({ method: "POST", path: "/", handler: body }), { message: /takes no body/ });
  const basket = resource("basket", { lifetime: "session", start: () => [] });
  await t.rejects(start({ method: "GET", path: "/", handler: make({ shared: true }, { basket }) }), {
    message: /belongs to a session/,
  });
});

t.test("an answer that has no principal after all is not given to anybody", async (t) => {
  const { ask } = await up(t, (cache) => [
    {
      method: "GET",
      path: "/",
      handler: handler({}, () => "x", { cacheResponse: { cache, principal: (() => undefined) as never } }),
    },
  ]);
  t.equal((await ask("/")).status, 500);
});
