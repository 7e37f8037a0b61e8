import type { AddressInfo } from "node:net";
import { container } from "@steward/container";
import { resource } from "@steward/core";
import { handler, steward } from "@steward/fastify";
import { trackHandles, until } from "@steward/testing";
import websocket from "@fastify/websocket";
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import t from "tap";
import { webSocketHub, WebSocketHubManager } from "../../src/hub/index.ts";
import { closeCode, nextText, rawClient, sessionsFor } from "../setup.ts";

const handles = trackHandles();
t.teardown(() => handles.assertNoLeaks());

async function listening(app: FastifyInstance): Promise<string> {
  await app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = app.server.address() as AddressInfo; // it listens on a port
  return `ws://127.0.0.1:${port}`;
}

function turnstile(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {};
  return { promise: new Promise<void>((done) => (resolve = done)), resolve: () => resolve() };
}

t.test("a hub inside a Fastify app of one's own drains before the app closes", async (t) => {
  const app = fastify();
  let finish = (): void => {};
  const hub = await new WebSocketHubManager({
    path: "/ws",
    authorize: () => true,
    drainSpreadMs: 50,
    call: () => new Promise<string>((resolve) => (finish = () => resolve("done"))),
  }).start();
  hub.client.attach(app.server);
  app.addHook("preClose", () => hub.drain());
  app.addHook("onClose", () => hub.stop());
  app.get("/hello", () => "hello");
  const url = await listening(app);
  const { client } = await sessionsFor(t, { url: `${url}/ws` });
  const heard = new Promise(
    (resolve) => void client.join("r", ({ data }) => resolve(data)).then(() => hub.client.publish("r", 1)),
  );
  t.equal(await heard, 1);
  t.equal(await (await fetch(`${url.replace("ws", "http")}/hello`)).text(), "hello");
  const raw = await rawClient(t, `${url}/ws`);
  const code = closeCode(raw);
  const reply = nextText(raw);
  raw.send('{"id":1,"call":1}');
  await until(() => [...hub.client.sockets].some(({ calls }) => calls === 1), "the call is worked on");
  const closed = app.close();
  await until(() => hub.phase === "draining", "the hub drains");
  finish();
  t.equal(await reply, '{"id":1,"ok":"done"}');
  t.equal(await code, 1001);
  await closed;
  t.equal(hub.phase, "stopped");
});

t.test("with @steward/fastify, the hub is a resource of the app's container", async (t) => {
  const app = fastify();
  const hub = webSocketHub("hub", { server: app.server, path: "/ws", authorize: () => true, drainSpreadMs: 50 });
  const order: string[] = [];
  const begin = turnstile();
  const news = resource("news", {
    needs: { hub },
    start: ({ hub }) => ({ tell: (data: unknown) => hub.publish("news", data) }),
    stop: () => void order.push("news stopped"),
  });
  await app.register(steward, { container: container([news]) });
  app.addHook("preClose", () => app.steward.running?.get(hub).dismiss());
  app.post(
    "/news",
    handler({ news }, async ({ news }) => (await news.tell("extra"), "told")),
  );
  app.get(
    "/slow",
    handler({ news }, async ({ news }) => {
      await begin.promise;
      await news.tell("from a request that runs while the app closes");
      return "done";
    }),
  );
  const url = await listening(app);
  const { client } = await sessionsFor(t, { url: `${url}/ws`, reconnect: { minMs: 60_000, maxMs: 60_000 } });
  const codes: number[] = [];
  client.on("close", (code) => codes.push(code));
  const heard = new Promise((resolve) => void client.join("news", ({ data }) => resolve(data)));
  await until(() => app.steward.running?.get(hub).room("news").size === 1, "it has joined");
  await app.inject({ method: "POST", url: "/news" });
  t.equal(await heard, "extra");
  const slow = fetch(`${url.replace("ws", "http")}/slow`);
  await until(() => app.steward.stats().openRequests === 1, "the request runs");
  const closed = app.close();
  await until(() => codes.length === 1, "the session is sent away");
  t.same(order, [], "what requests need is still there");
  begin.resolve();
  t.equal(await (await slow).text(), "done");
  await closed;
  t.same(codes, [1001]);
  t.same(order, ["news stopped"]);
});

t.test("beside @fastify/websocket, which takes every upgrade, a route of the app hands it to the hub", async (t) => {
  const app = fastify();
  const hub = await new WebSocketHubManager({ call: (body) => body, drainSpreadMs: 0 }).start();
  await app.register(websocket);
  app.addHook("preClose", () => hub.drain());
  app.addHook("onClose", () => hub.stop());
  app.get("/theirs", { websocket: true }, (socket) => {
    socket.on("message", (data) => socket.send(`theirs: ${String(data)}`));
  });
  const handOver = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (!request.ws) return;
    reply.hijack();
    hub.client.handleUpgrade(request.raw, request.raw.socket, Buffer.alloc(0));
  };
  const seen: string[] = [];
  app.addHook("onRequest", async (request) => void seen.push(request.url));
  app.get("/ours", { onRequest: handOver }, (_request, reply) => reply.code(426).send("upgrade required"));
  const url = await listening(app);
  const theirs = await rawClient(t, `${url}/theirs`);
  const answer = nextText(theirs);
  theirs.send("hi");
  t.equal(await answer, "theirs: hi");
  const { client } = await sessionsFor(t, { url: `${url}/ours` });
  t.equal(await client.call("hi"), "hi");
  t.equal((await fetch(`${url.replace("ws", "http")}/ours`)).status, 426);
  t.same(seen, ["/theirs", "/ours", "/ours"], "the hooks of the app see it");
  for (let i = 0; i < 20; i++) t.equal(await client.call(i), i);
  const codes = [closeCode(theirs), new Promise((resolve) => client.once("close", resolve))];
  await app.close();
  t.same(await Promise.all(codes), [1005, 1001]);
});
