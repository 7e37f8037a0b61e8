import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { request as send, type ClientRequest, type IncomingMessage, type ServerResponse } from "node:http";
import t from "tap";
import { ask, Backend, balance } from "./backend.ts";

/** A server in a process of its own, which says when it has begun with a request, and answers none but `/readyz`. */
const PROGRAM = `
  const server = require("node:http").createServer((request, response) => {
    if (request.url === "/readyz") return response.end();
    process.send("begun");
  });
  server.listen(0, "127.0.0.1", () => process.send(server.address().port));
`;

class Process implements AsyncDisposable {
  readonly target;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.target = { name: "process", host: "127.0.0.1", port };
  }

  static async start(): Promise<Process> {
    const { NODE_OPTIONS: _loader, ...env } = process.env;
    const child = fork("-e", [PROGRAM], { env, execArgv: [] });
    const [port] = (await once(child, "message")) as [number];
    return new Process(child, port);
  }

  begun(): Promise<unknown> {
    return once(this.#child, "message");
  }

  send(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}

t.test(
  "what was begun at a replica that is frozen is 504, or read from another one, and it gets nothing new",
  async (t) => {
    await using frozen = await Process.start();
    await using one = await Backend.start("one");
    await using it = await balance(one, frozen);
    const post = fetch(it.url, { method: "POST", body: "b", headers: { connection: "close" } });
    await frozen.begun();
    await ask(it.url); // the turn of the other one
    const read = ask(it.url);
    await frozen.begun();
    frozen.send("SIGSTOP");
    await it.balancer.check();
    t.equal(it.changes.at(-1), "process out: /readyz took too long");
    await it.clock.advance(9_999);
    await it.balancer.check();
    t.equal(await Promise.race([post, "open"]), "open", "it may be only busy");
    await it.clock.advance(1);
    await it.balancer.check();
    const response = await post;
    t.equal(response.status, 504);
    t.equal(response.headers.get("content-type"), "application/problem+json");
    t.match(await response.json(), { title: "Gateway Timeout", status: 504, detail: /the replica stands still/ });
    t.equal(await read, "200 one");
    await one.end();
    t.match(await ask(it.url), /^503 .*no replica is ready/, "nothing is tried there");
    frozen.send("SIGCONT");
    await it.balancer.check();
    t.equal(it.changes.at(-1), "process in: it is ready");
  },
);

/** A request through a balancer, both ends of it. */
async function through(url: string, method: string, backend: Backend) {
  const asked = send(url, { method, agent: false });
  if (method === "GET") asked.end();
  else asked.write("first");
  const [request, response] = (await once(backend.server, "request")) as [IncomingMessage, ServerResponse];
  return { asked, request, response };
}

/** Listens to a stream. @returns what waits until it has given so many letters. */
function hear(stream: IncomingMessage): (letters: number) => Promise<void> {
  let heard = "";
  stream.setEncoding("utf8").on("data", (text: string) => (heard += text));
  return async (letters) => {
    while (heard.length < letters) await once(stream, "data");
  };
}

t.test(
  "streams and uploads that go on are not cut at a replica that is late, and those that stand still are",
  async (t) => {
    await using one = await Backend.start("one", () => {});
    await using it = await balance(one);
    const down = await through(it.url, "GET", one);
    down.response.write("first");
    const [answer] = (await once(down.asked, "response")) as [IncomingMessage];
    const downHas = hear(answer);
    await downHas(5);
    const up = await through(it.url, "POST", one);
    const upHas = hear(up.request);
    const failed = once(up.asked, "response");
    one.readiness = 0; // as where a machine has far too much to do
    await it.balancer.check();
    for (let i = 0; i < 2; i++) {
      down.response.write("next.");
      up.asked.write("next.");
      await downHas(10 + 5 * i);
      await upHas(10 + 5 * i);
      await it.clock.advance(10_000);
      await it.balancer.check();
    }
    t.equal(answer.destroyed || up.request.destroyed, false);
    const cut = once(answer, "error");
    await it.clock.advance(10_000);
    await it.balancer.check();
    t.match(await cut, [{ code: "ECONNRESET" }]);
    t.match(await failed, [{ statusCode: 504 }]);
    up.asked.destroy();
  },
);

t.test("a request that takes long at a replica that answers its checks is waited for", async (t) => {
  const answers: (() => void)[] = [];
  await using one = await Backend.start("one", (_request, response) => void answers.push(() => response.end("late")));
  await using it = await balance(one);
  const late = ask(it.url);
  await once(one.server, "request");
  for (let i = 0; i < 3; i++) {
    await it.clock.advance(600_000);
    await it.balancer.check();
  }
  for (const answer of answers) answer();
  t.equal(await late, "200 late");
});

t.test("a WebSocket at a replica that is frozen is closed, so that its page connects elsewhere", async (t) => {
  await using one = await Backend.start("one");
  await using it = await balance(one);
  const headers = { connection: "upgrade", upgrade: "websocket" };
  const asked: ClientRequest = send(it.url, { headers, agent: false }).end();
  const [, socket] = (await once(asked, "upgrade")) as [IncomingMessage, NodeJS.ReadableStream];
  socket.resume();
  one.readiness = 0;
  const closed = once(socket, "close");
  await it.balancer.check();
  await it.clock.advance(10_000);
  await it.balancer.check();
  t.ok(await closed);
});
