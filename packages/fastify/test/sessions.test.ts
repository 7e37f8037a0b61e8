import { container } from "@steward/container";
import { lazy, resource } from "@steward/core";
import { fastify, type FastifyInstance } from "fastify";
import t from "tap";
import { from, handler, sessionCookie, steward, stream } from "../src/index.ts";
import { served, turns } from "./app.ts";

/** A basket for each session, with the log of what became of them. */
function baskets() {
  const log: string[] = [];
  let made = 0;
  const basket = resource("basket", {
    lifetime: "session",
    async *start() {
      const id = ++made;
      log.push(`+${id}`);
      yield { id };
      log.push(`-${id}`);
    },
  });
  return { basket, log };
}

t.test("requests with one cookie share what belongs to their session; no cookie is 401", async (t) => {
  const { basket, log } = baskets();
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ basket }, ({ basket }) => basket),
      ),
    {
      session: sessionCookie("sid"),
    },
  );
  const asked = async (cookie: string): Promise<unknown> => (await client.get("/", { headers: { cookie } })).json();
  t.strictSame(
    [await asked("sid=ann"), await asked("a=b; sid=bob"), await asked("sid=ann")],
    [{ id: 1 }, { id: 2 }, { id: 1 }],
  );
  for (const headers of [{}, { cookie: "sid=" }, { cookie: `sid=${"x".repeat(513)}` }]) {
    const refused = await client.get("/", { headers });
    t.strictSame([refused.statusCode, refused.headers["www-authenticate"]], [401, "Session"]);
  }
  await client.app.steward.running?.session("ann").end();
  t.strictSame(log, ["+1", "+2", "-1"]);
  t.strictSame(await asked("sid=ann"), { id: 3 });
});

t.test("a session that is ended lives until the response that uses it is over", async (t) => {
  const { basket, log } = baskets();
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ basket }, ({ basket }) =>
          stream(
            (async function* () {
              yield `${basket.id}`;
              await app.steward.running?.session("ann").end();
              await turns(5);
              log.push("streamed");
            })(),
            { contentType: "text/plain" },
          ),
        ),
      ),
    { session: () => "ann" },
  );
  t.equal((await client.get("/")).body, "1");
  await turns(20);
  t.strictSame(log, ["+1", "streamed", "-1"]);
});

t.test("a background task has the session of its request, which stays open until the task has ended", async (t) => {
  const { basket, log } = baskets();
  let goOn = (): void => {};
  const wait = new Promise<void>((resolve) => (goOn = resolve));
  await using client = await served(
    (app) => {
      app.get(
        "/",
        handler({ background: from.background }, ({ background }) => {
          background.add("first", { basket }, async ({ basket }) => {
            await wait;
            log.push(`first ${basket.id}`);
          });
          background.add("late", { basket: lazy(basket) }, async ({ basket }) =>
            log.push(`late ${(await basket()).id}`),
          );
          return "ok";
        }),
      );
      app.get(
        "/basket",
        handler({ basket }, ({ basket }) => basket),
      );
    },
    { session: sessionCookie("sid"), roots: [basket] },
  );
  const ask = (url: string): ReturnType<typeof client.get> => client.get(url, { headers: { cookie: "sid=ann" } });
  t.same((await ask("/basket")).json(), { id: 1 });
  t.equal((await ask("/")).body, "ok");
  await client.app.steward.running?.session("ann").end();
  t.same((await ask("/basket")).json(), { id: 2 }, "others have the next session");
  t.strictSame(log, ["+1", "+2"]);
  goOn();
  await turns(20);
  t.strictSame(log, ["+1", "+2", "first 1", "late 1", "-1"]);
  const refused = await client.get("/");
  t.strictSame([refused.statusCode, refused.headers["www-authenticate"]], [401, "Session"]);
  t.equal(client.app.steward.stats().background.pending, 0);
});

t.test(
  "a background task that needs a session is refused where nothing says which, and after the request's end",
  async (t) => {
    const { basket } = baskets();
    const logTo: string[] = [];
    const cleaning = resource("cleaning", {
      lifetime: "request",
      needs: { background: from.background },
      async *start({ background }) {
        yield 1;
        background.add("clean", { basket }, () => {});
      },
    });
    const routes = (app: FastifyInstance): void => {
      app.get(
        "/",
        handler({ background: from.background }, ({ background }) => background.add("work", { basket }, () => {})),
      );
      app.get(
        "/cleaning",
        handler({ cleaning }, () => "ok"),
      );
    };
    await using none = await served(routes, { logTo, roots: [basket] });
    t.equal((await none.get("/")).statusCode, 500);
    t.match(
      logTo.splice(0).join(""),
      /the background task \\"work\\" needs \\"basket\\", which belongs to a session: say which/,
    );
    await using some = await served(routes, { logTo, session: () => "ann", roots: [basket] });
    t.equal((await some.get("/cleaning")).body, "ok");
    await turns(20);
    t.match(logTo.join(""), /add it before what the request holds is released[^]*"ROUTE_INVALID"/);
  },
);

t.test("the key is asked for where a session is needed, once, also for what is needed late", async (t) => {
  const { basket } = baskets();
  let asked = 0;
  const session = () => `${++asked}`;
  const page = resource("page", { lifetime: "request", needs: { basket: lazy(basket) }, start: (own) => own });
  await using client = await served(
    (app) => {
      app.get(
        "/none",
        handler({}, () => "hello"),
      );
      app.get(
        "/late",
        handler({ page, basket }, async ({ page, basket }) => (await page.basket()) === basket),
      );
    },
    { session },
  );
  await client.get("/none");
  t.equal(asked, 0);
  t.equal((await client.get("/late")).body, "true");
  t.equal(asked, 1);
});

t.test("a route that needs a session is refused when the app gets ready, where nothing says which", async (t) => {
  const { basket } = baskets();
  const app = fastify();
  await app.register(steward, { container: container([]) });
  app.get(
    "/",
    handler({ basket }, ({ basket }) => basket),
  );
  await t.rejects(async () => app.ready(), { code: "ROUTE_INVALID", message: /"basket", which belongs to a session/ });
  await app.close();
});

t.test("a function for sessions that gives no text fails the request, and says so in the log", async (t) => {
  const { basket } = baskets();
  const logTo: string[] = [];
  const session = (async () => "ann") as never; // as a program without types may have it
  await using client = await served(
    (app) =>
      app.get(
        "/",
        handler({ basket }, () => "never"),
      ),
    { session, logTo },
  );
  t.equal((await client.get("/")).statusCode, 500);
  t.match(logTo.join(""), /has to give a text or undefined, not object/);
});
