// Libraries of others that open, copy or wrap clients, on the clients of our pools.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { create, createFileRegistry } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Client, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { createConnectTransport } from "@connectrpc/connect-web";
import { createAdapter } from "@socket.io/redis-adapter";
import { DatabasePoolManager } from "@steward/database";
import { HttpSessionManager } from "@steward/http";
import { fetchOver } from "@steward/http/fetch";
import { postgresForTests, redisForTests } from "@steward/launchers";
import { PgPoolManager } from "@steward/pg";
import { RedisPoolManager, type RedisClient } from "@steward/redis";
import { failure, until } from "@steward/testing";
import { Queue, QueueEvents, Worker } from "bullmq";
import { RedisStore } from "connect-redis";
import { generateDrizzleJson, generateMigration, pushSchema } from "drizzle-kit/api";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { integer, pgTable, text } from "drizzle-orm/pg-core";
import express from "express";
import session from "express-session";
import { Server } from "socket.io";
import { io, type Socket } from "socket.io-client";
import t from "tap";

declare module "express-session" {
  interface SessionData {
    seen: number;
  }
}

async function listening(server: ReturnType<typeof createServer>): Promise<string> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on TCP
}

t.test("on a client of Redis", async (t) => {
  await using redis = await redisForTests();
  if (redis.skip !== false) return t.comment(redis.skip);
  const manage = () => new RedisPoolManager({ url: redis.url }).start();

  /** A server of socket.io as each of several processes has one, and somebody who is connected to it. */
  async function chat(client: RedisClient): Promise<{ server: Server; guest: Socket; end: () => Promise<void> }> {
    const subscriber = client.duplicate();
    const http = createServer();
    const server = new Server(http, { adapter: createAdapter(client, subscriber) });
    server.on("connection", (socket) => void socket.join("room"));
    const guest = io(await listening(http), { transports: ["websocket"], reconnection: false });
    await once(guest as unknown as NodeJS.EventEmitter, "connect"); // it has `on` and `off`
    const end = async (): Promise<void> => {
      guest.disconnect();
      await server.close();
      await subscriber.quit();
    };
    return { server, guest, end };
  }

  await t.test("servers of socket.io pass on to each other's sockets what is for all", async (t) => {
    await using one = await manage();
    await using other = await manage();
    const [here, there] = [await chat(one.client), await chat(other.client)];
    const heard: unknown[] = [];
    for (const { guest } of [here, there]) guest.on("news", (text: unknown) => heard.push(text));
    await until(async () => (await here.server.in("room").fetchSockets()).length === 2, "each knows both sockets");
    here.server.to("room").emit("news", "extra");
    await until(() => heard.length === 2);
    t.same(heard, ["extra", "extra"]);
    t.match(one.stats(), { subscriberConnections: 1 });
    await Promise.all([here.end(), there.end()]);
    t.match(one.stats(), { subscriptions: 0, subscriberConnections: 0 }, "a copy that has ended leaves nothing");
    t.equal(await one.client.ping(), "PONG", "and its client goes on");
  });

  await t.test("connect-redis keeps the sessions of Express", async (t) => {
    await using manager = await manage();
    const store = new RedisStore({ client: manager.client, prefix: "sess:", ttl: 60 });
    const app = express();
    app.use(session({ store, secret: "for this test", resave: false, saveUninitialized: false }));
    app.get("/", (request, response) => {
      request.session.seen = (request.session.seen ?? 0) + 1;
      response.json(request.session.seen);
    });
    const server = createServer(app);
    const url = await listening(server);
    const first = await fetch(url);
    const [cookie = ""] = first.headers.getSetCookie().map((line) => line.split(";")[0] ?? "");
    t.equal(await first.json(), 1);
    t.equal(await (await fetch(url, { headers: { cookie } })).json(), 2);
    const ids = (await store.ids()) as readonly string[];
    t.equal(ids.length, 1, "it finds it by a scan");
    await store.destroy(ids[0] ?? "");
    t.equal(await (await fetch(url, { headers: { cookie } })).json(), 1, "destroyed, it begins anew");
    await store.clear();
    t.same(await manager.client.keys("sess:*"), []);
    server.closeAllConnections();
    await once(server.close(), "close");
  });

  await t.test("queue, worker and events of BullMQ share a pool, and end without it", async (t) => {
    await using manager = await manage();
    const connection = manager.client;
    const events = new QueueEvents("mails", { connection });
    const queue = new Queue<{ to: string }>("mails", { connection });
    const worker = new Worker<{ to: string }, string>("mails", async ({ data }) => `sent to ${data.to}`, {
      connection,
    });
    await Promise.all([events.waitUntilReady(), worker.waitUntilReady()]);
    const jobs = await queue.addBulk(["ann", "bob"].map((to) => ({ name: "welcome", data: { to } })));
    const done = await Promise.all(jobs.map((job) => job.waitUntilFinished(events)));
    t.same(done, ["sent to ann", "sent to bob"]);
    await Promise.all([worker.close(), events.close(), queue.close()]);
    t.match(manager.stats(), { dedicated: { inUse: 0 } }, "nothing waits for jobs any more");
    t.equal(await manager.client.ping(), "PONG");
  });
});

const columns = { id: integer("id").primaryKey(), title: text("title").notNull() };
const films = pgTable("films", columns);
const rated = pgTable("films", { ...columns, stars: integer("stars") });

t.test("drizzle-kit makes and changes tables over our pools", async (t) => {
  await using postgres = await postgresForTests();
  if (postgres.skip !== false) return t.comment(postgres.skip);
  await using database = await new DatabasePoolManager({ url: postgres.url }).start();
  await using pool = await new PgPoolManager({ url: postgres.url }).start();
  const before = generateDrizzleJson({});
  for (const statement of await generateMigration(before, generateDrizzleJson({ films }, before.id)))
    await database.client.execute(sql.raw(statement));
  await database.client.insert(films).values({ id: 1, title: "M" });
  // As it stands `pushSchema` asks for results in the shape of node-postgres, which those of postgres.js do not have.
  const pushed = await pushSchema({ rated }, drizzle(pool.client));
  t.equal(pushed.hasDataLoss, false);
  await pushed.apply();
  const rows = await database.client.select().from(rated);
  t.same(rows, [{ id: 1, title: "M", stars: null }]);
  t.same((await pushSchema({ rated }, drizzle(pool.client))).statementsToExecute, [], "then there is nothing to do");
});

t.test("Connect calls through its fetch transport over our fetch", async (t) => {
  const field = { name: "text", number: 1, type: Type.STRING, label: Label.OPTIONAL, jsonName: "text" };
  const [inputType, outputType] = [".echo.Said", ".echo.Said"];
  const file = create(FileDescriptorProtoSchema, {
    name: "echo.proto",
    package: "echo",
    syntax: "proto3",
    messageType: [{ name: "Said", field: [field] }],
    service: [
      {
        name: "Echo",
        method: [
          { name: "Say", inputType, outputType },
          { name: "Spell", inputType, outputType, serverStreaming: true },
        ],
      },
    ],
  });
  const service = createFileRegistry(file, () => undefined).getService("echo.Echo");
  if (service === undefined) throw new Error("no such service");
  interface Said {
    readonly text: string;
  }
  const handlers = {
    async say({ text }: Said) {
      if (text === "") throw new ConnectError("say something", Code.InvalidArgument);
      return { text: text.toUpperCase() };
    },
    async *spell({ text }: Said) {
      for (const letter of text) yield { text: letter };
    },
  } as unknown as ServiceImpl<typeof service>; // made from the file, so without types
  const server = createServer(connectNodeAdapter({ routes: (router) => void router.service(service, handlers) }));
  const baseUrl = await listening(server);
  await using http = await new HttpSessionManager({ baseUrl }).start();
  const fetch = fetchOver(http.client) as unknown as typeof globalThis.fetch; // what it gives is no Response of the platform
  const client: Client<typeof service> = createClient(service, createConnectTransport({ baseUrl, fetch }));
  // As the handlers.
  const { say, spell } = client as unknown as {
    say(request: Said): Promise<Said>;
    spell(request: Said): AsyncIterable<Said>;
  };
  t.equal((await say({ text: "hello" })).text, "HELLO");
  t.match(await failure(say({ text: "" })), { code: Code.InvalidArgument, rawMessage: "say something" });
  const letters: string[] = [];
  for await (const { text } of spell({ text: "abc" })) letters.push(text);
  t.same(letters, ["a", "b", "c"]);
  t.match(http.stats(), { started: 3, failed: 0, inUse: 0 });
  server.closeAllConnections();
  await once(server.close(), "close");
});
