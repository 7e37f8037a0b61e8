import { once } from "node:events";
import { connect } from "node:net";
import { resource, type IdempotencyStore } from "@steward/core";
import { FakeClock } from "@steward/core/testing";
import { trackHandles, until } from "@steward/testing";
import t from "tap";
import { from, handler, HttpError, memoryIdempotency, perRequest, security, stream } from "../src/index.ts";
import type { IdempotencyOptions } from "../src/index.ts";
import { served, type Setting } from "./app.ts";
import { gate } from "./integration/client.ts";

const handles = trackHandles();
const body = from.body("payment", {
  type: "object",
  properties: { amount: { type: "integer" } },
  required: ["amount"],
});

/** An app that takes payments, and what it has taken. */
async function payments(
  answer: (amount: number) => unknown = (amount) => ({ amount }),
  options: Partial<IdempotencyOptions> = {},
  setting: Setting = {},
) {
  const taken: number[] = [];
  const store = options.store ?? memoryIdempotency();
  const client = await served((app) => {
    app.post(
      "/payments",
      handler(
        { payment: body, reply: from.reply },
        ({ payment, reply }) => {
          taken.push(payment.amount);
          reply.code(201).header("location", `/payments/${taken.length}`).header("set-cookie", ["a=1", "b=2"]);
          return answer(payment.amount);
        },
        { idempotency: { ...options, store } },
      ),
    );
  }, setting);
  const pay = async (amount: number, key?: string, headers: Record<string, string> = {}) =>
    client.post(
      "/payments",
      { amount },
      { headers: { ...headers, ...(key === undefined ? {} : { "idempotency-key": key }) } },
    );
  return { client, taken, pay };
}

t.test("a request that is sent again is done once, and has the same answer", async (t) => {
  const { client, taken, pay } = await payments();
  const first = await pay(5, '"8e03978e"');
  const again = await pay(5, "8e03978e");
  t.strictSame(taken, [5]);
  t.strictSame([again.statusCode, again.body, again.headers["location"]], [201, first.body, "/payments/1"]);
  t.strictSame(again.headers["content-type"], first.headers["content-type"]);
  t.strictSame(again.headers["set-cookie"], ["a=1", "b=2"]);
  t.strictSame([first.headers["idempotency-replayed"], again.headers["idempotency-replayed"]], [undefined, "true"]);
  t.not(again.headers["x-request-id"], first.headers["x-request-id"]);
  await pay(5, "another");
  await pay(5);
  t.strictSame(taken, [5, 5, 5], "another key, or none, is another request");
  await client.app.close();
});

t.test("a key with another request is 422, also by another name of the same client", async (t) => {
  const { client, taken, pay } = await payments();
  await pay(5, "k");
  const other = await pay(6, "k");
  t.strictSame([other.statusCode, other.json().code], [422, "IDEMPOTENCY_KEY_REUSED"]);
  t.strictSame(taken, [5]);
  await client.app.close();
});

t.test("while the first is being answered, the second is 409 and says when to come again", async (t) => {
  const { passed, open } = gate();
  const { client, taken, pay } = await payments(async (amount) => (await passed, { amount }));
  const first = pay(5, "k");
  await until(() => taken.length === 1);
  const second = await pay(5, "k");
  t.strictSame([second.statusCode, second.headers["retry-after"]], [409, "1"]);
  t.equal(second.json().code, "IDEMPOTENCY_IN_PROGRESS");
  open();
  t.equal((await first).statusCode, 201);
  t.equal((await pay(5, "k")).headers["idempotency-replayed"], "true");
  t.strictSame(taken, [5]);
  await client.app.close();
});

t.test("of many at the same moment one is done", async (t) => {
  const { client, taken, pay } = await payments(async (amount) => (await new Promise(setImmediate), { amount }));
  const statuses = await Promise.all(Array.from({ length: 20 }, async () => (await pay(5, "k")).statusCode));
  t.strictSame(statuses.filter((status) => status === 201).length, 1);
  t.strictSame([taken.length, new Set(statuses)], [1, new Set([201, 409])]);
  await client.app.close();
});

t.test("a failure of ours is not kept, and neither is one that asks for another try", async (t) => {
  const failures: unknown[] = [new Error("no"), new HttpError(503, "later"), new HttpError(429, "slower")];
  const { client, taken, pay } = await payments((amount) => {
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
    return { amount };
  });
  const statuses: number[] = [];
  for (let i = 0; i < 5; i++) statuses.push((await pay(5, "k")).statusCode);
  t.strictSame([statuses, taken.length], [[500, 503, 429, 201, 201], 4]);
  await client.app.close();
});

t.test("a refusal by the handler is kept; invalid input is not, it has done nothing", async (t) => {
  const { client, taken, pay } = await payments(() => {
    throw new HttpError(402, "not enough money", { members: { balance: 3 } });
  });
  t.equal((await client.post("/payments", {}, { headers: { "idempotency-key": "k" } })).statusCode, 422);
  const [first, again] = [await pay(5, "k"), await pay(5, "k")];
  t.strictSame([first.statusCode, again.statusCode, again.json().balance, taken.length], [402, 402, 3, 1]);
  await client.app.close();
});

t.test("a commit that fails is a failure of ours", async (t) => {
  let [commits, done] = [0, 0];
  const tx = resource("tx", {
    lifetime: "handler",
    async *start() {
      yield 1;
      if (++commits === 1) throw new Error("serialization failure");
    },
  });
  await using client = await served((app) =>
    app.post(
      "/",
      handler({ tx }, () => `${++done}`, { idempotency: { store: memoryIdempotency() } }),
    ),
  );
  const ask = async () => {
    const answer = await client.post("/", undefined, { headers: { "idempotency-key": "k" } });
    return answer.statusCode === 200 ? answer.body : answer.statusCode;
  };
  t.strictSame([await ask(), await ask(), await ask()], [500, "2", "2"]);
});

t.test("nobody gets the answer to another's request", async (t) => {
  const users = new Map([
    ["a1", "ann"],
    ["a2", "ann"],
    ["b1", "bob"],
  ]);
  const me = perRequest("me", { token: from.bearer() }, ({ token }) => ({
    id: users.get(token) ?? "",
    scopes: ["pay"],
  }));
  let done = 0;
  await using client = await served((app) => {
    const store = memoryIdempotency();
    const principal = ({ me }: { readonly me: { readonly id: string } }): string => me.id;
    app.post(
      "/own",
      handler({ me: security(me, ["pay"]) }, ({ me }) => ({ id: me.id, n: ++done }), { idempotency: { store } }),
    );
    app.post(
      "/users",
      handler({ me }, ({ me }) => ({ id: me.id, n: ++done }), { idempotency: { store, principal } }),
    );
  });
  const ask = async (url: string, token: string) =>
    (
      await client.post(url, undefined, { headers: { "idempotency-key": "k", authorization: `Bearer ${token}` } })
    ).json();
  t.strictSame(await ask("/own", "a1"), { id: "ann", n: 1 });
  t.strictSame(await ask("/own", "b1"), { id: "bob", n: 2 });
  t.strictSame(await ask("/own", "a2"), { id: "ann", n: 3 }, "by default another token is another client");
  t.strictSame(await ask("/users", "a1"), { id: "ann", n: 4 });
  t.strictSame(await ask("/users", "a2"), { id: "ann", n: 4 }, "a principal stays who it is with a new token");
  t.strictSame(await ask("/users", "b1"), { id: "bob", n: 5 });
  t.equal((await client.post("/own", undefined, { headers: { "idempotency-key": "k" } })).statusCode, 401);
});

t.test("a key may be required, has to be one, and means nothing for a GET", async (t) => {
  const idempotency = { store: memoryIdempotency(), required: true };
  let done = 0;
  await using client = await served(
    (app) => {
      app.route({ method: ["GET", "PUT"], url: "/", handler: handler({}, () => ({ n: ++done }), { idempotency }) });
    },
    { openapi: { title: "x", version: "1" } },
  );
  const put = async (headers: Record<string, string>) => (await client.put("/", undefined, { headers })).json();
  t.match(await put({}), { status: 400, code: "IDEMPOTENCY_KEY_MISSING" });
  for (const wrong of ["", " ", '"', '"a', "é", "x".repeat(256)])
    t.match(await put({ "idempotency-key": wrong }), { status: 400, code: "IDEMPOTENCY_KEY_INVALID" }, wrong);
  t.equal((await put({ "idempotency-key": "x".repeat(255) })).n, 1);
  const headers = { "idempotency-key": "k" };
  t.strictSame([(await client.get("/", { headers })).json().n, (await client.get("/", { headers })).json().n], [2, 3]);
  const { paths } = (await client.get("/openapi.json")).json();
  t.match(paths["/"].put.parameters, [{ name: "idempotency-key", in: "header", required: true }]);
  t.ok(paths["/"].put.responses["409"]);
});

t.test(
  "an answer that was sent part by part, or is too long, is not given again, and the request not done again",
  async (t) => {
    for (const [answer, maxBodyBytes] of [
      [() => stream(["a", "b"]), 100],
      [() => "x".repeat(101), 100],
    ] as const) {
      const { client, taken, pay } = await payments(answer, { maxBodyBytes });
      t.ok((await pay(5, "k")).statusCode < 300);
      const again = await pay(5, "k");
      t.strictSame([again.statusCode, again.json().code], [409, "IDEMPOTENCY_ANSWER_NOT_KEPT"]);
      t.equal(taken.length, 1);
      await client.app.close();
    }
  },
);

t.test("answers are kept for their time, and a key for that of its lock", async (t) => {
  const clock = new FakeClock();
  const store = memoryIdempotency({ clock });
  const { client, taken, pay } = await payments(undefined, { store, ttlMs: 1_000 });
  await pay(5, "k");
  await clock.advance(999);
  await pay(5, "k");
  t.equal(taken.length, 1);
  await clock.advance(1);
  await pay(5, "k");
  t.equal(taken.length, 2);
  await client.app.close();
});

t.test("a store may come from the container; one that is down lets nothing be done", async (t) => {
  const made = memoryIdempotency();
  let isDown = false;
  const store = resource("answers", {
    start: (): IdempotencyStore => ({
      ...made,
      begin: (key, claim) => (isDown ? Promise.reject(new Error("gone")) : made.begin(key, claim)),
      finish: made.finish,
      release: made.release,
    }),
  });
  const { client, taken, pay } = await payments(undefined, { store }, { roots: [store] });
  await pay(5, "k");
  t.equal((await pay(5, "k")).headers["idempotency-replayed"], "true");
  isDown = true;
  t.equal((await pay(5, "other")).statusCode, 500);
  t.equal(taken.length, 1);
  await client.app.close();
});

t.test("a client that goes before its answer finds it when it asks again", async (t) => {
  const { passed, open } = gate();
  const { client, taken, pay } = await payments(async (amount) => (await passed, { amount }));
  const url = await client.app.listen({ port: 0, host: "127.0.0.1" });
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  const payload = '{"amount":5}';
  socket.write(
    `POST /payments HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nidempotency-key: k\r\ncontent-length: ${payload.length}\r\n\r\n${payload}`,
  );
  await until(() => taken.length === 1);
  socket.destroy();
  await once(socket, "close");
  open();
  await until(async () => (await pay(5, "k")).statusCode === 201);
  t.strictSame(taken, [5]);
  await client.app.close();
});

t.test("a handler that is past its deadline keeps its key until it has ended", async (t) => {
  const { passed, open } = gate();
  let isFirst = true;
  const { client, taken, pay } = await payments(
    async (amount) => {
      if (isFirst) await passed;
      isFirst = false;
      return { amount };
    },
    {},
    { timeoutMs: 30 },
  );
  t.equal((await pay(5, "k")).statusCode, 504);
  t.equal((await pay(5, "k")).statusCode, 409);
  open();
  await until(async () => (await pay(5, "k")).statusCode === 201);
  t.equal(taken.length, 2);
  await client.app.close();
});

t.test("wrong options are refused when the route is made", (t) => {
  const refused = (idempotency: object) => () => handler({}, () => 1, { idempotency: idempotency as never });
  t.throws(refused({}), { code: "OPTIONS_INVALID" });
  t.throws(refused({ store: {} }), /an idempotency store/);
  t.throws(refused({ store: memoryIdempotency(), ttl: 5 }), /ttlMs/);
  t.end();
});

t.teardown(() => handles.assertNoLeaks());
