import { once } from "node:events";
import { createServer } from "node:net";
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as tlsConnect } from "node:tls";
import { container } from "@steward/container";
import { resource } from "@steward/core";
import { testCertificates, until } from "@steward/testing";
import t from "tap";
import { from, handler, serve, type NodeRouteOptions, type NodeServer } from "../../src/node/index.ts";

function counted() {
  const counts = { taken: 0, given: 0, late: 0 };
  const lease = resource("lease", {
    lifetime: "request",
    async *start() {
      counts.taken++;
      let isHeld = true;
      try {
        yield { use: () => void (isHeld || counts.late++) };
      } finally {
        isHeld = false;
        counts.given++;
      }
    },
  });
  return { counts, lease };
}

async function up(routes: readonly NodeRouteOptions[]) {
  const web = serve("web", { http2: true, listen: () => ({ port: 0 }), routes });
  const running = await container([web]).start();
  const server: NodeServer = running.get(web);
  return { running, server, session: connect(server.url).on("error", () => {}) };
}

async function answerOf(stream: ClientHttp2Stream): Promise<{ readonly status: number; readonly text: string }> {
  const [headers] = (await once(stream, "response")) as [{ readonly ":status": number }];
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return { status: headers[":status"], text };
}

const get = (session: ClientHttp2Session, path: string): ClientHttp2Stream => session.request({ ":path": path });

t.test("serves HTTP/2: inputs, bodies, problems, request ids", async (t) => {
  const needs = { name: from.path("name"), n: from.query("n", { type: "integer" }) };
  const { running, session } = await up([
    { method: "GET", path: "/hello/:name", handler: handler(needs, (values) => values) },
    {
      method: "POST",
      path: "/",
      handler: handler({ body: from.body("body", { type: "object" }) }, ({ body }) => body),
    },
  ]);
  t.strictSame(await answerOf(get(session, "/hello/ann?n=1")), { status: 200, text: '{"name":"ann","n":1}' });
  t.equal((await answerOf(get(session, "/hello/ann?n=x"))).status, 422);
  t.equal((await answerOf(get(session, "/nowhere"))).status, 404);
  const post = session.request({ ":path": "/", ":method": "POST", "content-type": "application/json" });
  post.end('{"a":1}');
  t.strictSame(await answerOf(post), { status: 200, text: '{"a":1}' });
  session.close();
  await running.stop();
});

t.test(
  "streams of HTTP/2 clients that have gone end before what they use is released, also where they go early",
  async (t) => {
    const { counts, lease } = counted();
    let [ended, waiting] = [0, 0];
    const { running, server, session } = await up([
      {
        method: "GET",
        path: "/stream",
        handler: handler({ lease }, ({ lease }) =>
          (async function* () {
            try {
              for (;;) {
                lease.use();
                yield "x".repeat(2_000);
                await sleep(2);
              }
            } finally {
              lease.use();
              ended++;
            }
          })(),
        ),
      },
      {
        method: "GET",
        path: "/slow",
        handler: handler({ lease }, async () => {
          waiting++;
          await sleep(20);
          return (async function* () {
            yield "never";
          })();
        }),
      },
    ]);
    for (let i = 0; i < 20; i++) {
      const stream = get(session, "/stream").on("error", () => {});
      await once(stream, "data");
      stream.close(constants.NGHTTP2_CANCEL);
    }
    for (let i = 0; i < 20; i++) {
      const stream = get(session, "/slow").on("error", () => {});
      await until(() => waiting === i + 1);
      stream.close(constants.NGHTTP2_CANCEL);
    }
    await until(() => counts.given === 40 && server.stats().openRequests === 0);
    t.strictSame({ ...counts, ended }, { taken: 40, given: 40, late: 0, ended: 20 });
    session.destroy();
    await running.stop();
  },
);

t.test("a drain lets the requests of an HTTP/2 session end, and then closes it", async (t) => {
  let [go, asked] = [(): void => {}, (): void => {}];
  const [gone, came] = [new Promise<void>((r) => (go = r)), new Promise<void>((r) => (asked = r))];
  const { running, session } = await up([
    { method: "GET", path: "/", handler: handler({}, async () => (asked(), await gone, "late")) },
  ]);
  const answer = answerOf(get(session, "/"));
  await came;
  const stopped = running.stop();
  await once(session, "goaway");
  go();
  t.strictSame(await answer, { status: 200, text: "late" });
  await stopped;
  t.equal(session.closed, true);
});

t.test("serves HTTP/1 and HTTP/2 over TLS, and gives up clients that do not send or do not read", async (t) => {
  const { authority: ca, serverCert: cert, serverKey: key } = testCertificates;
  const { counts, lease } = counted();
  const endless = async function* (): AsyncGenerator<string> {
    for (;;) yield "x".repeat(10_000);
  };
  const web = serve("web", {
    http2: true,
    requestTimeoutMs: 200,
    stallTimeoutMs: 200,
    closeTimeoutMs: 400, // the client does not end its session while it has not read all
    tls: () => ({ cert, key }),
    listen: () => ({ port: 0 }),
    routes: [
      { method: "POST", path: "/", handler: handler({ lease, body: from.body("body", {}) }, () => "ok") },
      { method: "GET", path: "/endless", handler: handler({ lease }, endless) },
      {
        method: "GET",
        path: "/",
        handler: handler({ request: from.request }, ({ request }) => request.raw.httpVersion),
      },
    ],
  });
  await using running = await container([web]).start();
  const { url } = running.get(web);
  t.match(url, /^https:/);
  const session = connect(url, { ca });
  t.equal((await answerOf(get(session, "/"))).text, "2.0");
  const json = { "content-type": "application/json" };
  const whole = session.request({ ":path": "/", ":method": "POST", ...json });
  const [half, unread] = [session.request({ ":path": "/", ":method": "POST", ...json }), get(session, "/endless")];
  half.write("{");
  for (const stream of [half, unread]) stream.on("error", () => {});
  const reset = once(half, "close");
  whole.end("{}");
  t.equal((await answerOf(whole)).status, 200);
  await reset;
  await until(() => counts.taken === 2 && counts.given === 2, "the endless one is given up");
  t.strictSame([half.rstCode, unread.destroyed || unread.readable, session.destroyed], [8, true, false]);
  const slow = tlsConnect({ port: Number(new URL(url).port), ca, servername: "localhost" }).on("error", () => {});
  slow.write("POST / HTTP/1.1\r\nhost: x\r\n");
  await once(slow.resume(), "close");
  session.close();
  await running.stop();
  t.equal(unread.readable, true);
  unread.destroy();
});

t.test("a port that is taken, and a route that cannot be, fail the start with what to do", async (t) => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as { readonly port: number };
  const web = serve("web", { listen: () => ({ port }), routes: [] });
  await t.rejects(container([web]).start(), { cause: { code: "PORT_BUSY", message: /choose another port/ } });
  other.close();
  const wrong = serve("wrong", {
    listen: () => ({ port: 0 }),
    routes: [{ method: "FETCH", path: "/", handler: handler({}, () => 1) }],
  });
  await t.rejects(container([wrong]).start(), { cause: { code: "ROUTE_INVALID" } });
  const bad = resource("bad", { start: () => Promise.reject(new Error("no network")) });
  const lacking = serve("lacking", {
    listen: () => ({ port: 0 }),
    routes: [{ method: "GET", path: "/", handler: handler({ bad }, () => 1) }],
  });
  await t.rejects(container([lacking]).start(), { message: /no network/ });
  t.throws(() => serve("typo", { listen: () => ({ port: 0 }), routes: [], maxBodyByte: 1 } as never), /maxBodyBytes/);
});
