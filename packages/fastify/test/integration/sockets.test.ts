import websocket from "@fastify/websocket";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { CHANNELS, resource } from "@steward/core";
import { container } from "@steward/container";
import type { AddressInfo } from "node:net";
import { fastify, type FastifyInstance } from "fastify";
import t from "tap";
import { WebSocket } from "ws";
import {
  depend,
  from,
  handler,
  HttpError,
  SocketError,
  socketHandler,
  type SocketLike,
  steward,
} from "../../src/index.ts";
import { logged, turns } from "../app.ts";

/** What the tests use of a socket of `ws`. */
interface Socket extends SocketLike {
  send(text: string): void;
  once(event: "message", listener: (data: Buffer) => void): unknown;
}

/** A server that listens, with routes. */
async function app(routes: (app: FastifyInstance) => void): Promise<FastifyInstance> {
  const made = fastify();
  await made.register(steward, { container: container([]), accessLog: false, forms: false });
  await made.register(websocket);
  routes(made);
  await made.listen({ port: 0, host: "127.0.0.1" });
  return made;
}

/** Connects and notes the first message and the close, also those that come at once. */
async function connected(
  server: FastifyInstance,
  path: string,
  headers: Record<string, string> = {},
): Promise<{
  readonly client: WebSocket;
  readonly closed: Promise<readonly [number, string]>;
  readonly first: Promise<string>;
}> {
  const { port } = server.server.address() as AddressInfo; // it listens on TCP
  const client = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
  const closed = new Promise<readonly [number, string]>((resolve) =>
    client.on("close", (code, reason) => resolve([code, reason.toString()])),
  );
  const first = new Promise<string>((resolve) => client.on("message", (data: Buffer) => resolve(data.toString())));
  await new Promise<void>((resolve, reject) => client.once("open", () => resolve()).once("error", reject));
  return { client, closed, first };
}

/** Waits until the server holds nothing of any request. */
async function idle(server: FastifyInstance): Promise<void> {
  while (server.steward.stats().openRequests > 0) await new Promise((resolve) => setTimeout(resolve, 1));
}

function echo(socket: Socket): Promise<string> {
  return new Promise((resolve) => socket.once("message", (data) => resolve(data.toString())));
}

t.test(
  "W01: what a socket's handler needs is held for the whole connection, and a client that goes away is no error",
  async (t) => {
    const log: string[] = [];
    const server = await app((app) => {
      app.get(
        "/",
        { websocket: true },
        socketHandler(
          { g: logged(log, "g", "request"), requestSignal: from.signal },
          async ({ requestSignal }, socket: Socket) => {
            requestSignal.addEventListener("abort", () => log.push("aborted"));
            socket.send(`got ${await echo(socket)}`);
            log.push("ep");
          },
        ),
      );
    });
    const { client, first, closed } = await connected(server, "/");
    client.send("hi");
    t.equal(await first, "got hi");
    await turns();
    t.strictSame(log, ["g+", "ep"]);
    client.close();
    await closed;
    await idle(server);
    t.strictSame(log, ["g+", "ep", "aborted", "g-"]);
    t.equal(server.steward.stats().openRequests, 0);
    await server.close();
  },
);

t.test("W03, W11: the handler's error reaches its dependencies, and closes the socket", async (t) => {
  const log: string[] = [];
  const server = await app((app) => {
    app.get(
      "/",
      { websocket: true },
      socketHandler({ g: logged(log, "g", "request") }, async () => {
        throw new TypeError("broken session");
      }),
    );
  });
  const { closed } = await connected(server, "/");
  t.equal((await closed)[0], 1011);
  await idle(server);
  t.strictSame(log, ["g+", "g saw broken session", "g-"]);
  await server.close();
});

t.test("W04: input that is not valid closes with 1008 and says what is wrong, after dependencies saw it", async (t) => {
  const log: string[] = [];
  const server = await app((app) => {
    app.get(
      "/",
      { websocket: true },
      socketHandler(
        { g: logged(log, "g", "request"), n: from.query("n", { type: "integer" }) },
        () => void log.push("ep"),
      ),
    );
  });
  const { closed } = await connected(server, "/?n=x");
  const [code, reason] = await closed;
  t.equal(code, 1008);
  t.match(reason, /query\.n/);
  t.strictSame([log[0], log[2], log.length], ["g+", "g-", 3]);
  await server.close();
});

t.test("W05: a dependency's HttpError denies the handshake", async (t) => {
  const server = await app((app) => {
    const denies = resource("denies", {
      lifetime: "request",
      start: () => {
        throw new HttpError(403, "not you");
      },
    });
    app.get(
      "/",
      { websocket: true },
      socketHandler({ denies }, () => {}),
    );
  });
  await t.rejects(connected(server, "/"), { message: /403/ });
  t.equal(server.steward.stats().openRequests, 0);
  await server.close();
});

t.test("W06: a SocketError closes with its code and reason, from a dependency or from the handler", async (t) => {
  const server = await app((app) => {
    const refuses = resource("refuses", {
      lifetime: "request",
      start: () => {
        throw new SocketError(1008, "pol");
      },
    });
    app.get(
      "/dep",
      { websocket: true },
      socketHandler({ refuses }, () => {}),
    );
    app.get(
      "/handler",
      { websocket: true },
      socketHandler({}, async () => {
        throw new SocketError(4001, `${"ä".repeat(80)}`);
      }),
    );
  });
  t.strictSame(await (await connected(server, "/dep")).closed, [1008, "pol"]);
  const [code, reason] = await (await connected(server, "/handler")).closed;
  t.equal(code, 4001);
  t.equal(reason, "ä".repeat(61)); // 122 bytes: no character is cut in two
  await server.close();
});

t.test("W08: security schemes work on sockets (deviation: FastAPI fails)", async (t) => {
  const server = await app((app) => {
    app.get(
      "/",
      { websocket: true },
      socketHandler({ token: from.bearer() }, ({ token }, socket: Socket) => socket.send(token)),
    );
  });
  await t.rejects(connected(server, "/"), { message: /401/ });
  const { first, client, closed } = await connected(server, "/", { authorization: "Bearer abc" });
  t.equal(await first, "abc");
  client.close();
  await closed;
  await server.close();
});

t.test(
  "W09, W10: a dependency that needs the request works on HTTP and on sockets (deviation: FastAPI has two kinds)",
  async (t) => {
    const agent = resource("agent", {
      lifetime: "request",
      needs: { request: from.request },
      start: ({ request }) => `agent ${request.headers["user-agent"]}`,
    });
    const server = await app((app) => {
      app.get(
        "/ws",
        { websocket: true },
        socketHandler({ agent }, ({ agent }, socket: Socket) => socket.send(agent)),
      );
      app.get(
        "/http",
        handler({ agent }, ({ agent }) => agent),
      );
    });
    const { first, client, closed } = await connected(server, "/ws", { "user-agent": "me" });
    t.equal(await first, "agent me");
    t.equal((await server.inject({ url: "/http", headers: { "user-agent": "me" } })).body, "agent me");
    client.close();
    await closed;
    await server.close();
  },
);

t.test("O03: a plugin's dependencies come first on sockets too", async (t) => {
  const log: string[] = [];
  const says = (name: string) => resource(name, { lifetime: "request", start: () => void log.push(name) });
  const server = await app((app) => {
    app.register(async (router) => {
      depend(router, { router: says("router") });
      router.get(
        "/",
        { websocket: true },
        socketHandler({ index: says("index") }, (_values, socket: Socket) => socket.close()),
      );
    });
  });
  await (
    await connected(server, "/")
  ).closed;
  t.strictSame(log, ["router", "index"]);
  await server.close();
});

t.test("a socket's route says so where @fastify/websocket was registered first", async (t) => {
  let seen: unknown;
  const server = fastify();
  await server.register(websocket, {
    errorHandler: (error, socket) => {
      seen = error;
      socket.close(1011);
    },
  });
  await server.register(steward, { container: container([]), accessLog: false });
  server.get(
    "/",
    { websocket: true },
    socketHandler({}, () => {}),
  );
  await server.listen({ port: 0, host: "127.0.0.1" });
  t.equal((await (await connected(server, "/")).closed)[0], 1011);
  t.match(seen, { code: "NOT_REGISTERED" });
  await server.close();
});

t.test("a socket announces that the process serves, as Node does for a request", async (t) => {
  const heard: unknown[] = [];
  const listener = (event: unknown): void => void heard.push(event);
  subscribe(CHANNELS.serving, listener);
  t.teardown(() => unsubscribe(CHANNELS.serving, listener));
  const server = await app((app) => {
    app.get(
      "/",
      { websocket: true },
      socketHandler({}, (_values, socket: Socket) => socket.close(1000)),
    );
  });
  await (
    await connected(server, "/")
  ).closed;
  t.strictSame(heard, [{ resource: "fastify" }]);
  await server.close();
});
