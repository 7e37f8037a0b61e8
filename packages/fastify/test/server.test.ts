import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
import { connect, createServer, type AddressInfo } from "node:net";
import { container, type RunningContainer } from "@steward/container";
import { isStewardError, resource } from "@steward/core";
import { fastify } from "fastify";
import t from "tap";
import { FastifyServer, fastifyServer, handler, refusals, steward } from "../src/index.ts";
import { testClient } from "../src/testing.ts";
import { served } from "./app.ts";

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((r) => (resolve = r));
  return { promise, resolve };
}

/** A server in a container, whose only other resource starts when the test lets it. */
function withServer(answer: () => unknown = () => "ok", port = 0) {
  const go = deferred<void>();
  const listening = deferred<FastifyServer>();
  const log: string[] = [];
  const slow = resource("slow", {
    start: async () => (await go.promise, "slow"),
    stop: () => log.push("slow stops"),
  });
  const server = fastifyServer("server", {
    needs: {},
    listen: () => ({ port }),
    app: async (_values, running) => {
      const app = fastify({ ...refusals() });
      await app.register(steward, { running, accessLog: false });
      app.get(
        "/",
        handler({ slow }, () => answer()),
      );
      app.addHook("onListen", async () => void log.push("listens"));
      return app;
    },
  });
  const seen = resource("seen", { needs: { server }, start: ({ server }) => listening.resolve(server) });
  return { app: container([server, slow, seen]), server, go, listening, log };
}

async function status(url: string): Promise<number> {
  const response = await fetch(url, { headers: { connection: "close" } });
  await response.arrayBuffer();
  return response.status;
}

t.test("a server answers probes while the rest starts, and requests once all is up", async (t) => {
  const { app, go, listening, log } = withServer();
  const starting = app.start();
  const { url } = await listening.promise;
  t.strictSame(log, ["listens"]);
  t.strictSame([await status(`${url}/livez`), await status(`${url}/readyz`), await status(url)], [200, 503, 503]);
  go.resolve();
  const running = await starting;
  t.strictSame([await status(`${url}/readyz`), await status(url)], [200, 200]);
  await running.stop();
  await t.rejects(status(url), "nobody listens any more");
});

t.test("a drain lets a request end before what it needs stops, and closes idle connections", async (t) => {
  const [asked, answer] = [deferred<void>(), deferred<string>()];
  const { app, go, server, log } = withServer(() => (asked.resolve(), answer.promise));
  go.resolve();
  const running = await app.start();
  const { url } = running.get(server);
  const agent = new Agent({ keepAlive: true });
  const [idle] = await once(httpRequest(`${url}/livez`, { agent }).end(), "response");
  idle.resume();
  const slow = once(httpRequest(url, { agent: new Agent() }).end(), "response");
  await asked.promise;
  const stopped = running.stop();
  const closed = new Promise((resolve) => running.get(server).app.server.once("close", resolve));
  answer.resolve("late");
  const [response] = await slow;
  t.equal(response.statusCode, 200);
  response.resume();
  await Promise.all([closed, stopped]);
  t.equal(log.at(-1), "slow stops");
  agent.destroy();
});

t.test("a port that is taken is named in words", async (t) => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  t.teardown(() => other.close());
  const { port } = other.address() as AddressInfo; // it listens on TCP
  const app = fastify();
  const error: unknown = await FastifyServer.listen(app, { port }).catch((thrown: unknown) => thrown);
  t.ok(isStewardError(error, "PORT_BUSY"));
  t.match(String(error), `port ${port} of 127.0.0.1 belongs to another program: stop that, or choose another port`);
  await t.rejects(FastifyServer.listen(fastify(), { host: "203.0.113.1", port: 0 }), { code: "EADDRNOTAVAIL" });
});

t.test("a container that lacks what a route of its server needs does not start, and its server is gone", async (t) => {
  const db = resource("db", { start: () => "db" });
  let url = "";
  const server = fastifyServer("server", {
    listen: () => ({ port: 0 }),
    app: async (_values, running) => {
      const app = fastify();
      await app.register(steward, { running });
      app.get(
        "/",
        handler({ db }, () => "ok"),
      );
      app.addHook(
        "onListen",
        async () => void (url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`),
      );
      return app;
    },
  });
  await t.rejects(container([server]).start(), { code: "NOT_IN_GRAPH", message: /does not hold "db"/ });
  await t.rejects(status(url), "nobody listens any more");
});

t.test("one definition of a server in two containers serves each from its own", async (t) => {
  const who = resource("who", { start: () => Symbol("who") });
  const seen: symbol[] = [];
  const server = fastifyServer("server", {
    listen: () => ({ port: 0 }),
    app: async (_values, running) => {
      const app = fastify();
      await app.register(steward, { running });
      app.get(
        "/",
        handler({ who }, ({ who }) => `${seen.push(who)}`),
      );
      return app;
    },
  });
  await using one = await container([server, who]).start();
  await using two = await container([server, who]).start();
  for (const running of [one, two]) t.equal(await status(running.get(server).url), 200);
  t.strictSame(seen, [one.get(who), two.get(who)]);
  await one.restart(server);
  t.equal(await status(one.get(server).url), 200, "a server that was started anew finds its container too");
  t.equal(seen.at(-1), one.get(who));
});

t.test("an app on somebody else's container closes without saying that all of it ends", async (t) => {
  await using running: RunningContainer = await container([resource("db", { start: () => 1 })]).start();
  const make = async () => {
    const app = fastify();
    await app.register(steward, { running });
    return testClient(app);
  };
  const [one, two] = [await make(), await make()];
  await one.app.close();
  t.equal((await two.get("/readyz")).statusCode, 200);
  await two.app.close();
});

t.test("what has no route is answered with a problem: 405 with what is possible, or 404", async (t) => {
  await using client = await served((app) => {
    app.get("/clips/:id", () => "one");
    app.post("/clips/search", () => "found");
    app.put("/files/*", () => "put");
    app.get("/at/:from-:to", () => "range");
    app.get("/v1.0/a", () => "dot");
    app.options("*", () => "cors");
  });
  const asked = async (method: "GET" | "DELETE" | "PUT", url: string) => {
    const { statusCode, headers } = await client.inject({ method, url });
    t.match(headers["content-type"], /problem\+json/);
    return [statusCode, headers["allow"]];
  };
  t.strictSame(await asked("DELETE", "/clips/5"), [405, "GET, HEAD"]);
  t.strictSame(await asked("PUT", "/clips/search?x=/"), [405, "GET, HEAD, POST"]);
  t.strictSame(await asked("GET", "/files/a/b"), [405, "PUT"]);
  t.strictSame(await asked("PUT", "/at/1-2"), [405, "GET, HEAD"]);
  t.strictSame(await asked("PUT", "/v1.0/a"), [405, "GET, HEAD"]);
  for (const url of ["/v1x0/a", "/clips/5/6", "/clips/", "/nowhere"])
    t.strictSame(await asked("PUT", url), [404, undefined], url);
  t.equal((await client.get("/nowhere?x=1")).json().detail, "there is no /nowhere");
});

t.test("a path that is none, and what is not HTTP, are problems with an id", async (t) => {
  const app = fastify({ ...refusals(), routerOptions: { maxParamLength: 10 } });
  await app.register(steward, { running: () => undefined });
  app.get("/:id", () => "ok");
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  t.teardown(() => app.close());
  const bad = await fetch(`${url}/%zz`, { headers: { "x-request-id": "mine" } });
  t.strictSame([bad.status, bad.headers.get("x-request-id")], [400, "mine"]);
  t.match(await bad.json(), { status: 400, requestId: "mine" });
  t.equal((await fetch(`${url}/${"x".repeat(11)}`)).status, 414);
  const said = async (text: string): Promise<string> => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1").setEncoding("utf8");
    socket.write(text);
    let answer = "";
    socket.on("data", (chunk) => (answer += String(chunk)));
    await once(socket, "close");
    return answer;
  };
  const garbage = await said("GARBAGE\r\n\r\n");
  t.match(
    garbage,
    /^HTTP\/1\.1 400 Bad Request\r\n[^]*application\/problem\+json[^]*\r\nx-request-id: ([\da-f-]{36})\r\n/,
  );
  const [head = "", body = ""] = garbage.split("\r\n\r\n");
  t.ok(head.includes(`x-request-id: ${(JSON.parse(body) as { requestId: string }).requestId}`));
  t.match(await said(`GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(20_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
});
