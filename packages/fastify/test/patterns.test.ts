import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import websocket from "@fastify/websocket";
import { fresh, resource, type CachedResponse, type ResponseCache } from "@steward/core";
import { until } from "@steward/testing";
import type { FastifyInstance } from "fastify";
import t from "tap";
import { WebSocket } from "ws";
import { from, handler, HttpError, parametrised, perRequest, security, socketHandler, stream } from "../src/index.ts";
import { override } from "../src/testing.ts";
import { got, served, turns } from "./app.ts";

/** Lines of each example as FastAPI writes it, without imports, blanks and comments. */
const ORIGINAL = {
  "layered dependencies": 14,
  "request id": 8,
  "background work": 11,
  "streamed answer": 10,
  "cached answer": 4,
  "connection manager": 21,
  "test client": 16,
  "mocked dependency": 10,
  "changed document": 18,
  "basic dependencies": 21,
  "class as dependency": 21,
  "security and scopes": 29,
  "async dependencies": 27,
  "generators with cleanup": 26,
  "overridden dependencies": 12,
  "shared and fresh sub-dependencies": 35,
} as const;

interface User {
  readonly id: number;
  readonly username: string;
}

const log: string[] = [];
const session = { get: (id: number): User => ({ id, username: "ann" }) };
const decodeToken = (token: string): number => token.length;
const sent: string[] = [];
const email = { send: (to: string) => sent.push(to) };
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

class Kept implements ResponseCache {
  readonly #kept = new Map<string, CachedResponse>();

  async getOrLoad(key: string, load: (signal: AbortSignal) => Promise<CachedResponse>): Promise<CachedResponse> {
    const found = this.#kept.get(key) ?? (await load(new AbortController().signal));
    this.#kept.set(key, found);
    return found;
  }
}

const answers = resource("answers", { start: () => new Kept() });

// region layered dependencies
const db = perRequest("db", {}, async function* () {
  yield session;
  log.push("db closed");
});
const users = perRequest("users", { db }, ({ db }) => ({ find: (id: number) => db.get(id) }));
const token = from.oauth2Password("/token");
const currentUser = perRequest("currentUser", { token, users }, ({ token, users }) => users.find(decodeToken(token)));
const profile = handler({ currentUser }, ({ currentUser }) => currentUser);
// endregion

// region request id
const requestId = perRequest("requestId", { reply: from.reply }, ({ reply }) => {
  const id = randomUUID();
  reply.header("x-own-id", id);
  return id;
});
const own = handler({ requestId }, ({ requestId }) => ({ requestId }));
// endregion

// region background work
const newUser = from.body("user", { type: "object", required: ["email"], properties: { email: { type: "string" } } });
const register = handler({ user: newUser, tasks: from.background }, ({ user, tasks }, _request, reply) => {
  tasks.add("welcome", () => email.send(String(user.email)));
  reply.code(201);
  return { id: 1, ...user };
});
// endregion

// region streamed answer
async function* chunks() {
  for (let chunk = 0; chunk < 5; chunk++) {
    yield `data chunk ${chunk}\n`;
    await turns(1);
  }
}
const streamed = handler({}, () => stream(chunks(), { contentType: "text/plain" }));
// endregion

let computed = 0;
// region cached answer
const expensiveAnswer = handler({}, () => ({ n: ++computed }), { cacheResponse: { cache: answers, shared: true } });
// endregion

// region connection manager
class Connections {
  readonly all = new Set<WebSocket>();
  broadcast(message: string): void {
    for (const socket of this.all) socket.send(message);
  }
}
const connections = resource("connections", { start: () => new Connections() });
const chat = socketHandler({ connections }, ({ connections }, socket: WebSocket) => {
  connections.all.add(socket);
  socket.on("message", (data: Buffer) => connections.broadcast(`Message: ${data.toString()}`));
  socket.on("close", () => connections.all.delete(socket));
});
// endregion

const routes = async (app: FastifyInstance): Promise<void> => {
  await app.register(websocket);
  app.get("/profile", profile);
  app.get("/own", own);
  app.post("/register", register);
  app.get("/stream", streamed);
  app.get("/data", expensiveAnswer);
  app.get("/ws", { websocket: true }, chat);
  app.post("/token", issue);
  app.get("/users/:id", oneUser);
};

const form = from.passwordForm();
const issue = handler({ form }, ({ form }) => ({ access_token: form.username, token_type: "bearer" }));
const userService = resource("userService", { start: () => session });
const id = from.path("id", { type: "integer" });
const oneUser = handler({ id, userService }, ({ id, userService }) => userService.get(id));

t.test("patterns of requests: layers, ids, work after the answer, streams, caches, sockets", async (t) => {
  await using client = await served(routes, { forms: {} });
  t.strictSame(await got(client, "/profile", bearer("abc").headers), { id: 3, username: "ann" });
  await until(() => log.includes("db closed"));
  t.equal((await client.get("/profile")).statusCode, 401);
  const answer = await client.get("/own");
  t.equal(answer.headers["x-own-id"], answer.json().requestId);
  t.equal((await client.post("/register", { email: "a@b.c" })).statusCode, 201);
  await until(() => sent.length === 1);
  t.equal((await client.get("/stream")).body.split("\n").length, 6);
  t.strictSame([await got(client, "/data"), await got(client, "/data")], [{ n: 1 }, { n: 1 }]);
  await client.app.listen({ port: 0 });
  const { port } = client.app.server.address() as AddressInfo; // it listens on a port
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  await once(socket, "open");
  socket.send("hello");
  t.equal(String((await once(socket, "message"))[0]), "Message: hello");
  socket.close();
  await once(socket, "close");
});

t.test("patterns of tests: a client that has signed in, and a service that is replaced", async (t) => {
  // region test client
  await using client = await served(routes, { forms: {} });
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const signedIn = await client.post("/token", "grant_type=password&username=test&password=x", { headers });
  const asTest = bearer(signedIn.json().access_token);
  t.equal((await client.get("/profile", asTest)).statusCode, 200);
  // endregion
  // region mocked dependency
  const fake = override(userService, { get: (id) => ({ id, username: "test" }) });
  await using mocked = await served(routes, { forms: {}, replacements: [fake] });
  t.strictSame(await got(mocked, "/users/1"), { id: 1, username: "test" });
  // endregion
});

t.test("pattern of documents: what a document says is changed before it is shown", async (t) => {
  // region changed document
  const transform = (document: Record<string, unknown>) => ({ ...document, "x-audience": "internal" });
  const openapi = { title: "Secure API", version: "1.0.0", transform };
  const jwt = from.bearer({ name: "bearerAuth", bearerFormat: "JWT" });
  await using client = await served(
    (app) =>
      app.get(
        "/jwt",
        handler({ jwt }, ({ jwt }) => jwt),
      ),
    { openapi },
  );
  const document = (await client.get("/openapi.json")).json();
  // endregion
  t.equal(document["x-audience"], "internal");
  t.match(document.components.securitySchemes.bearerAuth, { type: "http", scheme: "bearer", bearerFormat: "JWT" });
});

t.test("patterns of dependencies: basic ones, classes, security, async ones", async (t) => {
  interface Database {
    readonly status: string;
    readonly user?: User;
  }
  await using client = await served((app) => {
    // region basic dependencies
    const database = perRequest("database", {}, (): Database => ({ status: "connected" }));
    const member = perRequest("member", { database }, ({ database }) => {
      if (database.user === undefined) throw new HttpError(401, "User not found");
      return database.user;
    });
    const me = handler({ member }, ({ member }) => member);
    app.get("/users/me", me);
    const items = handler({ database }, ({ database }) => ({ items: ["item1", "item2"], status: database.status }));
    app.get("/items", items);
    // endregion

    // region class as dependency
    class Settings {
      readonly apiKey = "secret-key";
      readonly debug = true;
    }
    class Manager {
      readonly #settings: Settings;
      constructor({ settings }: { readonly settings: Settings }) {
        this.#settings = settings;
      }
      connect = (): string => `connection-${this.#settings.apiKey}`;
    }
    const settings = perRequest("settings", {}, () => new Settings());
    const manager = perRequest("manager", { settings }, (needs) => new Manager(needs));
    const config = handler({ settings, manager }, (v) => ({
      debug: v.settings.debug,
      connection: v.manager.connect(),
    }));
    app.get("/config", config);
    // endregion

    // region security and scopes
    const verified = perRequest("verified", { token: from.bearer() }, ({ token }) => {
      if (token !== "valid-token") throw new HttpError(401, "Invalid token");
      return token;
    });
    const oauth2 = from.oauth2Password("/token", { scopes: { read: "Read access", write: "Write access" } });
    const user = perRequest("user", { oauth2 }, () => ({ username: "john", scopes: ["read", "write"] }));
    const allowed = parametrised((...scopes: readonly string[]) => security(user, scopes));
    app.get("/public", () => ({ message: "This is public" }));
    const greeting = handler({ user }, ({ user }) => ({ message: `Hello ${user.username}` }));
    app.get("/protected", greeting);
    const creation = handler({ user: allowed("write") }, ({ user }) => ({
      message: "User created",
      by: user.username,
    }));
    app.post("/admin/users", creation);
    const token = handler({ verified }, ({ verified }) => ({ verified }));
    app.get("/token", token);
    const forbidden = handler({ user: allowed("read", "super") }, () => "in");
    app.get("/super", forbidden);
    // endregion

    // region async dependencies
    const asyncDatabase = perRequest("asyncDatabase", {}, async () => {
      await turns(1);
      return { status: "connected" };
    });
    const external = perRequest("external", {}, async () => {
      await turns(2);
      return { data: "external_value", at: "2023-01-01" };
    });
    const asyncUser = perRequest("asyncUser", { asyncDatabase, external }, ({ external }) => {
      if (external.data !== "external_value") throw new HttpError(400, "Validation failed");
      return { username: "async_user", at: external.at };
    });
    const asynchronous = handler({ asyncUser, db: asyncDatabase }, (v) => ({ user: v.asyncUser, status: v.db.status }));
    app.get("/async", asynchronous);
    // endregion
  });
  t.equal((await client.get("/users/me")).statusCode, 401);
  t.strictSame(await got(client, "/items"), { items: ["item1", "item2"], status: "connected" });
  t.strictSame(await got(client, "/config"), { debug: true, connection: "connection-secret-key" });
  t.equal((await client.get("/public")).statusCode, 200);
  t.strictSame(
    [(await client.get("/protected")).statusCode, (await client.get("/protected", bearer("x"))).statusCode],
    [401, 200],
  );
  t.equal((await client.post("/admin/users", {}, bearer("x"))).statusCode, 200);
  t.equal((await client.get("/super", bearer("x"))).statusCode, 403);
  t.strictSame(
    [
      (await client.get("/token", bearer("x"))).statusCode,
      (await client.get("/token", bearer("valid-token"))).statusCode,
    ],
    [401, 200],
  );
  t.strictSame(await got(client, "/async"), {
    user: { username: "async_user", at: "2023-01-01" },
    status: "connected",
  });
});

t.test("patterns of instances: cleanup in order, replaced ones, shared and fresh ones", async (t) => {
  const steps: string[] = [];
  let computations = 0;
  // region overridden dependencies
  const prodDatabase = perRequest("database", {}, () => ({ type: "production" }));
  const prodUser = perRequest("user", { database: prodDatabase }, ({ database }) => `${database.type} user`);
  const data = handler({ prodUser }, ({ prodUser }) => ({ user: prodUser }));
  const testDatabase = perRequest("test", {}, () => ({ type: "test" }));
  // endregion
  await using client = await served((app) => {
    app.get("/data", data);
    // region generators with cleanup
    const held = (name: string) =>
      perRequest(name, {}, async function* () {
        steps.push(`open ${name}`);
        const value = { name, active: true };
        yield value;
        steps.push(`close ${name}`);
        value.active = false;
      });
    const first = held("session");
    const second = perRequest("second", { first }, function* ({ first }) {
      steps.push(`after ${first.name}`);
      yield "resource";
      steps.push("before it");
    });
    const cleanup = handler({ first, second }, ({ first, second }) => ({ session: first.name, second }));
    app.get("/cleanup", cleanup);
    // endregion

    // region shared and fresh sub-dependencies
    const expensive = perRequest("expensive", {}, async () => {
      await turns(1);
      return { n: ++computations };
    });
    const ofUser = perRequest("ofUser", { expensive }, ({ expensive }) => ({ user: 1, result: expensive.n }));
    const ofAdmin = perRequest("ofAdmin", { expensive }, ({ expensive }) => ({ admin: 1, result: expensive.n }));
    const both = handler({ ofUser, ofAdmin }, ({ ofUser, ofAdmin }) => ({ user: ofUser, admin: ofAdmin }));
    app.get("/both", both);
    const one = perRequest("one", { own: fresh(expensive) }, ({ own }) => own.n);
    const other = perRequest("other", { own: fresh(expensive) }, ({ own }) => own.n);
    const each = handler({ one, other }, (values) => values);
    app.get("/each", each);
    // endregion
  });
  t.strictSame(await got(client, "/cleanup"), { session: "session", second: "resource" });
  await until(() => steps.length === 4);
  t.strictSame(steps, ["open session", "after session", "before it", "close session"]);
  t.strictSame(await got(client, "/both"), { user: { user: 1, result: 1 }, admin: { admin: 1, result: 1 } });
  t.strictSame(await got(client, "/each"), { one: 2, other: 3 });
  {
    using _replaced = client.override(override(prodDatabase, testDatabase));
    t.strictSame(await got(client, "/data"), { user: "test user" });
  }
  t.strictSame(await got(client, "/data"), { user: "production user" });
});

t.test("none of the 16 examples is longer than FastAPI's", (t) => {
  const source = readFileSync("test/patterns.test.ts", "utf8");
  const lengths = Object.entries(ORIGINAL).map(([name, original]) => {
    const [, region = ""] = source.split(`// region ${name}\n`);
    const lines =
      region
        .split("// endregion")[0]
        ?.split("\n")
        .filter((line) => line.trim() !== "") ?? [];
    return { name, original, own: lines.length };
  });
  for (const { name, original, own } of lengths) t.comment(`${name}: ${own} lines, FastAPI ${original}`);
  t.ok(lengths.every(({ own }) => own > 0));
  const longer = lengths.filter(({ own, original }) => own > original);
  t.strictSame(longer, []);
  t.end();
});
