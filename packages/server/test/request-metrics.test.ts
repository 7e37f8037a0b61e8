import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { FakeClock } from "@steward/core/testing";
import t from "tap";
import { RequestMetrics } from "../src/index.ts";

/** As much of a response as is looked at. */
class Response extends EventEmitter {
  headersSent = false;
  writableEnded = false;
  statusCode = 200;

  answer(statusCode: number): void {
    Object.assign(this, { statusCode, headersSent: true, writableEnded: true });
    this.emit("close");
  }
}

interface Asked {
  readonly route?: string;
  failure?: unknown;
}

function counted() {
  const clock = new FakeClock();
  const metrics = new RequestMetrics<Asked>({ route: ({ route }) => route, failure: ({ failure }) => failure }, clock);
  const begin = (asked: Asked, method = "GET", headers = {}, socket = {}): Response => {
    const response = new Response();
    const incoming = { method, headers, socket } as IncomingMessage; // all that is looked at
    metrics.begin(asked, incoming, response as unknown as ServerResponse); // as above
    return response;
  };
  const durations = (): unknown[] =>
    [...metrics.metrics()].flatMap(({ kind, attributes, value }) =>
      kind === "histogram" && typeof value === "object" ? [[attributes, value.count, value.sum]] : [],
    );
  const active = (): unknown[] =>
    [...metrics.metrics()].flatMap(({ kind, attributes, value }) =>
      kind === "gauge" ? [[attributes["http.request.method"], value]] : [],
    );
  return { clock, begin, durations, active };
}

const GET = { "http.request.method": "GET", "url.scheme": "http" };

t.test("a request is active until its response is closed, and is recorded then, once", async (t) => {
  const { clock, begin, durations, active } = counted();
  const response = begin({ route: "/videos/:id" });
  t.strictSame([active(), durations()], [[["GET", 1]], []]);
  await clock.advance(250);
  response.answer(200);
  response.emit("close");
  t.strictSame(active(), [["GET", 0]]);
  t.strictSame(durations(), [[{ ...GET, "http.route": "/videos/:id", "http.response.status_code": "200" }, 1, 0.25]]);
});

t.test("outcomes have series of their own: by status, and by what ended a response too early", async (t) => {
  const { begin, durations } = counted();
  begin({}).answer(404);
  begin({ route: "/" }).answer(503);
  begin({ route: "/" }).emit("close");
  const half = { route: "/", failure: undefined as unknown };
  const broken = begin(half);
  broken.headersSent = true;
  half.failure = Object.assign(new Error("the stream broke"), { code: "ECONNRESET" });
  broken.emit("close");
  t.strictSame(durations(), [
    [{ ...GET, "http.response.status_code": "404" }, 1, 0],
    [{ ...GET, "http.route": "/", "http.response.status_code": "503", "error.type": "503" }, 1, 0],
    [{ ...GET, "http.route": "/", "error.type": "CALL_ABORTED" }, 1, 0],
    [{ ...GET, "http.route": "/", "http.response.status_code": "200", "error.type": "ECONNRESET" }, 1, 0],
  ]);
});

t.test("what clients make up makes no series: methods, and codes without end", async (t) => {
  const { begin, durations, active } = counted();
  for (const method of ["BREW", "PROPFIND"]) begin({ route: "/" }, method).answer(405);
  t.strictSame([durations().length, active()], [1, [["_OTHER", 0]]]);
  for (let i = 0; i < 1_000; i++)
    begin({ route: "/", failure: Object.assign(new Error("no"), { code: `E${i}` }) }).emit("close");
  t.equal(durations().length, 1 + 51);
});

t.test("a WebSocket is no request, unless its handshake is refused; TLS is another scheme", async (t) => {
  const { begin, durations, active } = counted();
  const socket = begin({ route: "/live" }, "GET", { upgrade: "websocket" });
  t.strictSame(active(), [["GET", 0]]);
  socket.emit("close");
  t.strictSame(durations(), []);
  begin({ route: "/live" }, "GET", { upgrade: "websocket" }).answer(401);
  begin({ route: "/" }, "GET", {}, { encrypted: true }).answer(200);
  t.strictSame(durations(), [
    [{ ...GET, "http.route": "/live", "http.response.status_code": "401" }, 1, 0],
    [{ ...GET, "url.scheme": "https", "http.route": "/", "http.response.status_code": "200" }, 1, 0],
  ]);
});
