import { once } from "node:events";
import { get, request as send, type IncomingMessage, type RequestListener } from "node:http";
import { connect, type Socket } from "node:net";
import { FakeClock } from "@steward/core/testing";
import t from "tap";
import { Balancer } from "../src/replicas/balancer.ts";
import { ask, Backend, balance, balanceFor } from "./backend.ts";

/** Who answers that many requests, sorted. */
async function askAll(url: string, count: number): Promise<string[]> {
  const answers: string[] = [];
  for (let i = 0; i < count; i++) answers.push(await ask(url));
  return answers.sort();
}

t.test("requests go to all in turn; one that is not ready gets nothing new, and is back when it is", async (t) => {
  await using one = await Backend.start("one");
  await using two = await Backend.start("two");
  await using it = await balance(one, two);
  t.strictSame(await askAll(it.url, 4), ["200 one", "200 one", "200 two", "200 two"]);
  two.readiness = 503;
  await it.balancer.check();
  t.strictSame(await askAll(it.url, 3), ["200 one", "200 one", "200 one"]);
  two.readiness = 200;
  await it.balancer.check();
  t.strictSame(await askAll(it.url, 2), ["200 one", "200 two"]);
  t.strictSame(it.changes.slice(2), ["two out: /readyz says 503", "two in: it is ready"]);
});

t.test("each is asked once a second", async (t) => {
  await using one = await Backend.start("one");
  const clock = new FakeClock();
  const changes: string[] = [];
  const balancer = new Balancer({ clock, targets: [one.target], onChange: ({ name }) => changes.push(name) });
  await balancer.start("127.0.0.1", 0);
  const stop = new AbortController();
  const running = balancer.run(stop.signal);
  one.readiness = 503;
  const changed = once(one.server, "request");
  await clock.advance(999);
  t.equal(changes.length, 1, "not yet");
  await clock.advance(1);
  await changed;
  stop.abort();
  await running;
  t.equal(changes.length, 2);
  await balancer.drain();
  balancer.stop();
});

t.test("what is under way at one that drains goes on", async (t) => {
  const answer: (() => void)[] = [];
  await using one = await Backend.start("one", (_request, response) => void answer.push(() => response.end("late")));
  await using it = await balance(one);
  const late = ask(it.url);
  await once(one.server, "request");
  one.readiness = 503;
  await it.balancer.check();
  t.match(await ask(it.url), /^503 .*no replica is ready/);
  for (const go of answer) go();
  t.equal(await late, "200 late");
});

t.test(
  "one whose answer is late gets nothing while another one is in, and what comes while all are late",
  async (t) => {
    await using one = await Backend.start("one");
    await using two = await Backend.start("two");
    await using it = await balance(one, two);
    one.readiness = 0;
    await it.balancer.check();
    t.equal(it.changes.at(-1), "one out: /readyz took too long");
    t.strictSame(await askAll(it.url, 2), ["200 two", "200 two"]);
    two.readiness = 0;
    await it.balancer.check();
    t.strictSame(await askAll(it.url, 4), ["200 one", "200 one", "200 two", "200 two"]);
  },
);

t.test("a reply that says that its server ends has the server asked at once", async (t) => {
  await using one = await Backend.start("one", (_request, response) => {
    one.readiness = 503;
    response.setHeader("connection", "close").end("last");
  });
  await using two = await Backend.start("two");
  await using it = await balance(two, one);
  t.equal(await ask(it.url), "200 last");
  while (it.balancer.targets.length > 1) await new Promise(setImmediate);
  t.strictSame(await askAll(it.url, 2), ["200 two", "200 two"]);
});

t.test(
  "a request that no one has begun goes elsewhere, with its body; one that was begun is not sent twice",
  async (t) => {
    const bodies: string[] = [];
    await using two = await Backend.start("two", async (request, response) => {
      let body = "";
      for await (const part of request) body += String(part);
      bodies.push(body);
      response.end("two");
    });
    await using one = await Backend.start("one");
    await using it = await balance(two, one);
    await one.end();
    const post = (body: string) => fetch(it.url, { method: "POST", body, headers: { connection: "close" } });
    t.equal((await post("a".repeat(100_000))).status, 200);
    t.equal(bodies[0]?.length, 100_000);
    t.match(it.changes.at(-1), /^one out: connect ECONNREFUSED/);
    await using cut = await Backend.start("cut", (request) => void request.socket.destroy());
    await using other = await balance(two, cut);
    const response = await fetch(other.url, { method: "POST", body: "b", headers: { connection: "close" } });
    t.equal(response.status, 502);
    t.match(await response.json(), { status: 502, detail: "the replica ended before it had answered" });
    t.equal(bodies.length, 1);
  },
);

/** Speaks to a balancer over one connection. */
class Talk {
  readonly socket: Socket;
  heard = "";

  constructor(url: string) {
    this.socket = connect(Number(new URL(url).port), "127.0.0.1").setEncoding("utf8");
    this.socket.on("data", (text: string) => (this.heard += text));
  }

  /** Sends something, and waits for an answer to it. */
  async ask(what: string | Buffer, answer: RegExp): Promise<void> {
    this.heard = "";
    this.socket.write(what);
    while (!answer.test(this.heard)) await once(this.socket, "data");
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

t.test("a request without a body arrives without one; one that has lost its body is not repeated", async (t) => {
  await using one = await Backend.start("one", (request, response) => {
    if (request.method === "POST") return void response.end("one");
    request.on("end", () => request.socket.destroy()).resume();
  });
  await using two = await Backend.start("two");
  await using it = await balance(two, one);
  using talk = new Talk(it.url);
  await talk.ask("POST /process HTTP/1.1\r\nhost: x\r\n\r\n", /one$/);
  t.match(one.seen[0]?.headers, { "content-length": "0", "transfer-encoding": undefined });
  await ask(it.url); // the turn of the other one
  await talk.ask("GET /search HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}", /502 Bad Gateway/);
});

t.test("an answer that comes before all was sent is passed on, and the connection goes on", async (t) => {
  await using one = await Backend.start("one", ({ url }, response) => {
    if (url === "/long") return void response.writeHead(413, { connection: "close" }).end("too long");
    response.writeHead(401).end("who?");
  });
  await using it = await balance(one);
  using talk = new Talk(it.url);
  const body = Buffer.alloc(8_000_000);
  const head = (path: string) => `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n`;
  await talk.ask(Buffer.concat([Buffer.from(head("/unknown")), body]), /401[^]*who\?/);
  await talk.ask(Buffer.concat([Buffer.from(head("/long")), body]), /413[^]*too long/);
  await talk.ask(Buffer.concat([Buffer.from(head("/unknown")), body]), /401[^]*who\?/);
  t.equal(one.seen.length, 3);
});

t.test("a client that goes ends its request, and takes no replica out", async (t) => {
  await using one = await Backend.start("one", () => {});
  await using it = await balance(one);
  const client = get(it.url).on("error", () => {});
  const [, response] = (await once(one.server, "request")) as Parameters<RequestListener>;
  client.destroy();
  await once(response, "close");
  t.equal(it.balancer.targets.length, 1);
});

t.test("a client that goes ends all that it has asked for, one behind the other", async () => {
  const closed: Promise<unknown>[] = [];
  await using one = await Backend.start("one", (_request, response) => void closed.push(once(response, "close")));
  await using it = await balance(one);
  using talk = new Talk(it.url);
  talk.socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(3));
  while (closed.length < 3) await once(one.server, "request");
  talk.socket.destroy();
  await Promise.all(closed);
});

t.test("a server hears from whom a request is, and nothing that only a balancer may say", async (t) => {
  await using one = await Backend.start("one");
  await using it = await balance(one);
  const headers = {
    "x-forwarded-for": "8.8.8.8",
    "x-forwarded-host": "evil.example",
    te: "trailers",
    host: "clips.test",
  };
  const [answer] = (await once(send(it.url, { headers, agent: false }).end(), "response")) as [IncomingMessage];
  answer.resume();
  t.match(one.seen[0]?.headers, { host: "clips.test", "x-forwarded-for": "127.0.0.1" });
  t.notOk(Object.hasOwn(one.seen[0]?.headers ?? {}, "x-forwarded-host"));
  t.notOk(Object.hasOwn(one.seen[0]?.headers ?? {}, "te"));
});

t.test("what a trusted load balancer says of a request is passed on, with its own address", async (t) => {
  await using one = await Backend.start("one");
  await using it = await balanceFor(["127.0.0.0/8"], one);
  const headers = { "x-forwarded-for": "8.8.8.8", "x-forwarded-proto": "https" };
  const [answer] = (await once(send(it.url, { headers, agent: false }).end(), "response")) as [IncomingMessage];
  answer.resume();
  t.match(one.seen[0]?.headers, { "x-forwarded-for": "8.8.8.8, 127.0.0.1", "x-forwarded-proto": "https" });
});

t.test("WebSockets are passed through, with what was sent at once; a refusal is an answer", async (t) => {
  await using one = await Backend.start("one");
  await using it = await balance(one);
  const { port } = new URL(it.url);
  const open = (path: string, more = "") => {
    const socket = connect(Number(port), "127.0.0.1");
    socket
      .setEncoding("utf8")
      .write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n${more}`);
    return socket;
  };
  const socket = open("/ws", "hello");
  let heard = "";
  for await (const part of socket) {
    heard += String(part);
    if (heard.endsWith("hello")) break; // leaves, and so ends it
  }
  t.match(heard, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  t.equal(one.seen[0]?.headers.upgrade, "websocket");
  const answerTo = async (path: string) => {
    let answer = "";
    for await (const part of open(path)) answer += String(part);
    return answer;
  };
  for (const path of ["/closed", "/chunked"]) {
    const refused = await answerTo(path);
    t.match(refused, /^HTTP\/1\.1 403 Forbidden\r\n[^]*\r\n\r\nno$/, path);
    t.notMatch(refused, /transfer-encoding/, path);
  }
  one.readiness = 503;
  await it.balancer.check();
  t.match(await answerTo("/ws"), /^HTTP\/1\.1 503 Service Unavailable\r\n[^]*\r\n\r\n{.*no replica is ready.*}$/);
});

t.test("a WebSocket that is refused costs no socket, also where the client keeps its half open", async (t) => {
  await using one = await Backend.start("one");
  await using it = await balance(one);
  const port = Number(new URL(it.url).port);
  const megabyte = Buffer.alloc(1024 * 1024);
  /** What a client hears that goes on writing: nothing where its bytes are kept for somebody. */
  const writeAfterEnd = async (path: string): Promise<string | undefined> => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {});
    socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`);
    await once(socket.resume(), "end");
    while (socket.errored === null && socket.writableLength < 100 * megabyte.length) {
      socket.write(megabyte);
      await new Promise(setImmediate);
    }
    const error: NodeJS.ErrnoException | null = socket.errored;
    socket.destroy();
    return error?.code;
  };
  for (const path of ["/closed", "/chunked"]) t.match(await writeAfterEnd(path), /^(ECONNRESET|EPIPE)$/, path);
  one.readiness = 503;
  await it.balancer.check();
  t.match(await writeAfterEnd("/ws"), /^(ECONNRESET|EPIPE)$/, "no target");
});

t.test(
  "a request that asks for another protocol is answered as if it had not, and its connection goes on",
  async (t) => {
    await using one = await Backend.start("one", (request, response) => void request.pipe(response));
    await using it = await balance(one);
    using talk = new Talk(it.url);
    const post = (body: string, more = "") =>
      `POST / HTTP/1.1\r\nhost: x\r\n${more}content-length: ${body.length}\r\n\r\n${body}`;
    const h2c = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n";
    await talk.ask(post("hello", h2c), /^HTTP\/1\.1 200 [^]*hello/);
    t.match(one.seen[0]?.headers, { upgrade: undefined, "http2-settings": undefined });
    await talk.ask(post("again"), /^HTTP\/1\.1 200 [^]*again/);
  },
);

t.test("a client of HTTP/1.0 gets the body as it is, which ends with the connection", async (t) => {
  await using one = await Backend.start("one", (_request, response) => {
    response.write("in ");
    response.end("parts");
  });
  await using it = await balance(one);
  using talk = new Talk(it.url);
  talk.socket.write("GET / HTTP/1.0\r\n\r\n");
  await once(talk.socket, "end");
  t.match(talk.heard, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nin parts$/);
  t.notMatch(talk.heard, /transfer-encoding/i);
});

t.test("a drain waits for requests, and ends WebSockets", async (t) => {
  const answer: (() => void)[] = [];
  await using one = await Backend.start("one", (_request, response) => void answer.push(() => response.end("late")));
  const it = await balance(one);
  const socket = connect(Number(new URL(it.url).port), "127.0.0.1");
  socket.write("GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
  await once(socket, "data");
  const late = fetch(it.url).then((response) => response.text()); // over a connection that is kept
  await once(one.server, "request");
  const closed = once(socket, "close");
  const drained = it.balancer.drain();
  await closed;
  for (const go of answer) go();
  t.equal(await late, "late");
  await drained;
  it.balancer.stop();
});
