import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { Readable } from "node:stream";
import { container } from "@steward/container";
import { resource } from "@steward/core";
import { fastify, type FastifyInstance } from "fastify";
import t from "tap";
import { until } from "@steward/testing";
import { from, handler, steward } from "../../src/index.ts";
import { logged } from "../app.ts";
import { ask, closed, firstBytes, gate, portOf } from "./client.ts";

async function listening(
  routes: (app: FastifyInstance) => void,
  roots: readonly ReturnType<typeof stamp>[] = [],
): Promise<FastifyInstance> {
  const app = fastify();
  await app.register(steward, { container: container(roots), accessLog: false, closeTimeoutMs: 5_000 });
  routes(app);
  await app.listen({ port: 0, host: "127.0.0.1" });
  return app;
}

function stamp(log: string[]) {
  return resource("db", { start: () => log.push("db started"), stop: () => void log.push("db stopped") });
}

t.test(
  "N01: when the client goes away, the handler runs on and learns it; what it holds goes when it has ended (deviation: FastAPI does not say so)",
  async (t) => {
    const log: string[] = [];
    const started = gate();
    const go = gate();
    const app = await listening((app) => {
      app.get(
        "/",
        handler(
          { g: logged(log, "g", "request"), fn: logged(log, "fn", "handler"), requestSignal: from.signal },
          async ({ requestSignal }) => {
            requestSignal.addEventListener("abort", () => log.push("aborted"));
            started.open();
            await go.passed;
            log.push("ep ended");
            return "ok";
          },
        ),
      );
    });
    const socket = await ask(portOf(app), "/");
    await started.passed;
    socket.destroy();
    await until(() => log.includes("aborted"));
    t.strictSame(log, ["g+", "fn+", "aborted"]);
    go.open();
    await until(() => app.steward.stats().openRequests === 0);
    t.strictSame(log, [
      "g+",
      "fn+",
      "aborted",
      "ep ended",
      "fn-",
      "g saw the client has gone before the response was complete",
      "g-",
    ]);
    await app.close();
  },
);

t.test("N02: a handler may look whether the client is still there", async (t) => {
  const log: string[] = [];
  const started = gate();
  const app = await listening((app) => {
    app.get(
      "/",
      handler({ g: logged(log, "g", "request"), request: from.request }, async ({ request }) => {
        started.open();
        await until(() => request.raw.destroyed);
        log.push("saw it");
      }),
    );
  });
  const socket = await ask(portOf(app), "/");
  await started.passed;
  socket.destroy();
  await until(() => app.steward.stats().openRequests === 0);
  t.equal(log[1], "saw it");
  t.equal(log.at(-1), "g-");
  await app.close();
});

t.test(
  "N04: when the client ends a stream, the stream's own cleanup runs, then that of what it used (deviation: in FastAPI the collector does it)",
  async (t) => {
    const log: string[] = [];
    const app = await listening((app) => {
      app.get(
        "/",
        handler({ g: logged(log, "g", "request") }, () =>
          Readable.from(
            (async function* () {
              try {
                for (;;) {
                  yield "chunk";
                  await new Promise((resolve) => setTimeout(resolve, 1));
                }
              } finally {
                log.push("stream-");
              }
            })(),
          ),
        ),
      );
    });
    const socket = await ask(portOf(app), "/");
    await firstBytes(socket);
    socket.destroy();
    await until(() => log.includes("g-") && log.includes("stream-"));
    t.equal(app.steward.stats().openRequests, 0);
    await app.close();
  },
);

t.test("N05: a background task runs to its end after the client has left; then what it used goes", async (t) => {
  const log: string[] = [];
  const go = gate();
  const app = await listening((app) => {
    app.get(
      "/",
      handler({ g: logged(log, "g", "request"), background: from.background }, ({ background }) => {
        background.add("task", async () => {
          await go.passed;
          log.push("task ended");
        });
        return "ok";
      }),
    );
  });
  const socket = await ask(portOf(app), "/");
  await firstBytes(socket);
  socket.destroy();
  await closed(socket);
  go.open();
  await until(() => log.includes("g-"));
  t.strictSame(log, ["g+", "task ended", "g-"]);
  await app.close();
});

t.test(
  "an app that closes lets a request on a kept connection finish, closes the connection, and ends at once",
  async (t) => {
    const log: string[] = [];
    const started = gate();
    const go = gate();
    const db = stamp(log);
    const slow = resource("slow", {
      lifetime: "request",
      needs: { db },
      async *start() {
        yield 1;
        await new Promise((resolve) => setTimeout(resolve, 30));
        log.push("released");
      },
    });
    const app = await listening(
      (app) => {
        app.get(
          "/",
          handler({ slow }, async () => {
            started.open();
            await go.passed;
            return "ok";
          }),
        );
      },
      [db],
    );
    const idle = await ask(portOf(app), "/livez", "connection: keep-alive\r\n");
    await firstBytes(idle);
    const socket = await ask(portOf(app), "/", "connection: keep-alive\r\n");
    await started.passed;
    const since = performance.now();
    const closing = app.close();
    await closed(idle);
    go.open();
    t.match(await firstBytes(socket), /200 OK/);
    await closing;
    t.ok(performance.now() - since < 30_000, "it does not wait for the keep-alive timeout of 72 s");
    t.strictSame(log, ["db started", "released", "db stopped"]);
  },
);

t.test("an app that closes cuts connections whose requests do not end, in time", async (t) => {
  const started = gate();
  const app = fastify();
  await app.register(steward, {
    container: container([], { drainTimeoutMs: 50 }),
    accessLog: false,
    closeTimeoutMs: 100,
  });
  app.get(
    "/",
    handler({ requestSignal: from.signal }, async ({ requestSignal }) => {
      started.open();
      await new Promise((resolve) => requestSignal.addEventListener("abort", resolve));
      return "too late";
    }),
  );
  await app.listen({ port: 0, host: "127.0.0.1" });
  const socket = await ask(portOf(app), "/");
  await started.passed;
  await app.close();
  t.ok(socket.destroyed || socket.closed || (await closed(socket).then(() => true)));
});

t.test("a handler that never ends does not make closing longer than its bound", async (t) => {
  const started = gate();
  const app = fastify();
  await app.register(steward, { container: container([]), accessLog: false, closeTimeoutMs: 1_000 });
  app.get(
    "/",
    handler({ held: logged([], "held", "request") }, () => {
      started.open();
      return new Promise(() => {});
    }),
  );
  await app.listen({ port: 0, host: "127.0.0.1" });
  const socket = await ask(portOf(app), "/");
  await started.passed;
  const since = performance.now();
  await t.rejects(app.close(), { code: "STOP_FAILED" });
  t.ok(performance.now() - since < 1_300, `it took ${Math.round(performance.now() - since)} ms`);
  socket.destroy();
});

t.test("an app of http2 closes: idle sessions at once, and one whose request does not end in time", async (t) => {
  const app = fastify({ http2: true }) as never as FastifyInstance; // its handlers are the same, with the types of http2
  const started = gate();
  await app.register(steward, { container: container([]), accessLog: false, closeTimeoutMs: 400 });
  app.get(
    "/ok",
    handler({}, () => "ok"),
  );
  app.get(
    "/hangs",
    handler({ signal: from.signal }, async ({ signal }) => {
      started.open();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    }),
  );
  await app.listen({ port: 0, host: "127.0.0.1" });
  const session = connectHttp2(`http://127.0.0.1:${portOf(app)}`);
  session.on("error", () => {});
  const answer = session.request({ ":path": "/ok" });
  t.equal(((await once(answer, "response")) as [{ ":status": number }])[0][":status"], 200);
  session
    .request({ ":path": "/hangs" })
    .on("error", () => {})
    .end();
  await started.passed;
  const closed = once(session, "close");
  await app.close();
  await closed;
});

t.test("the container's drain aborts requests that do not end", async (t) => {
  const started = gate();
  const seen: unknown[] = [];
  const running = await container([], { drainTimeoutMs: 30 }).start();
  const app = fastify();
  await app.register(steward, { running, accessLog: false });
  app.get(
    "/",
    handler({ requestSignal: from.signal }, async ({ requestSignal }) => {
      started.open();
      await new Promise((resolve) => requestSignal.addEventListener("abort", resolve));
      seen.push(requestSignal.reason);
      return "ended";
    }),
  );
  await app.listen({ port: 0, host: "127.0.0.1" });
  const socket = await ask(portOf(app), "/");
  await started.passed;
  await t.rejects(running.stop(), { code: "STOP_FAILED" });
  t.match(seen, [{ code: "CONTAINER_CLOSED" }]);
  socket.destroy();
  await app.close();
});
