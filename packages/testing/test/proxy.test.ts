import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import t, { type Test } from "tap";
import { type FaultProxy, startFaultProxy, trackHandles, until } from "../src/index.ts";

/** A server that answers each line with `echo <line>`, closes at `bye`, and remembers what it got. */
class EchoServer implements AsyncDisposable {
  readonly server: Server;
  readonly received: string[] = [];
  readonly sockets = new Set<Socket>();
  readonly errors: string[] = [];

  private constructor(server: Server) {
    this.server = server;
    server.on("connection", (socket) => this.#serve(socket));
  }

  static async start(): Promise<EchoServer> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new EchoServer(server);
  }

  get target(): { host: string; port: number } {
    const address = this.server.address();
    return { host: "127.0.0.1", port: typeof address === "object" && address !== null ? address.port : 0 };
  }

  #serve(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("error", (error: NodeJS.ErrnoException) => this.errors.push(error.code ?? error.message));
    let rest = "";
    socket.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        this.received.push(line);
        if (line === "bye") socket.end();
        else socket.write(`echo ${line}\n`);
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** A client that collects what it gets and how it ends. */
class Client {
  readonly socket: Socket;
  text = "";
  ended: string | undefined;

  private constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.socket.setEncoding("utf8").on("data", (chunk: string) => (this.text += chunk));
    this.socket.on("error", (error: NodeJS.ErrnoException) => (this.ended ??= error.code));
    this.socket.on("end", () => (this.ended ??= "end"));
  }

  static async connect(port: number): Promise<Client> {
    const client = new Client(port);
    await once(client.socket, "connect");
    return client;
  }

  send(line: string): void {
    this.socket.write(`${line}\n`);
  }

  /** Waits for the whole text so far. */
  async gets(text: string): Promise<void> {
    while (this.text !== text) await once(this.socket, "data");
  }

  async closes(): Promise<string | undefined> {
    if (!this.socket.closed) await new Promise((resolve) => this.socket.once("close", resolve));
    return this.ended;
  }
}

interface Scene {
  readonly echo: EchoServer;
  readonly proxy: FaultProxy;
}

/** Runs a case with a fresh server and proxy, and checks that both leave nothing. */
function scene(name: string, run: (t: Test, scene: Scene) => Promise<void>): void {
  void t.test(name, async (t) => {
    const handles = trackHandles();
    const echo = await EchoServer.start();
    const proxy = await startFaultProxy({ target: echo.target });
    try {
      await run(t, { echo, proxy });
    } finally {
      await proxy.stop();
      await echo[Symbol.asyncDispose]();
    }
    await handles.assertNoLeaks();
  });
}

/** A client that has had one answer, so the whole way stands. */
async function acquainted(proxy: FaultProxy): Promise<Client> {
  const client = await Client.connect(proxy.port);
  client.send("hi");
  await client.gets("echo hi\n");
  return client;
}

scene("passes bytes both ways and counts them", async (t, { echo, proxy }) => {
  const client = await acquainted(proxy);
  t.same(echo.received, ["hi"]);
  t.same(proxy.stats(), { open: 1, total: 1, requestBytes: 3, replyBytes: 8, lostBytes: 0 });
  client.send("bye");
  t.equal(await client.closes(), "end");
  await until(() => proxy.stats().open === 0 && echo.sockets.size === 0);
  t.equal(proxy.stats().total, 1);
});

scene("passes a half-close: the answer to it still arrives", async (t, { echo, proxy }) => {
  echo.server.removeAllListeners("connection");
  echo.server.on("connection", (socket) => {
    socket.resume().on("end", () => socket.end("that was all"));
  });
  const client = await Client.connect(proxy.port);
  client.socket.end("some bytes");
  await client.closes();
  t.equal(client.text, "that was all");
});

scene("passes more than it buffers, whole and in order", async (t, { echo, proxy }) => {
  const size = 4 * 1024 * 1024;
  echo.server.removeAllListeners("connection");
  echo.server.on("connection", (socket) => void socket.pipe(socket));
  const bytes = Buffer.from(Uint8Array.from({ length: size }, (_, index) => (index * 31) % 251));
  const socket = connect(proxy.port, "127.0.0.1");
  const got: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => got.push(chunk));
  socket.end(bytes);
  await once(socket, "close");
  t.ok(Buffer.concat(got).equals(bytes));
});

scene("latency delays each way and keeps the order", async (t, { proxy }) => {
  const client = await acquainted(proxy);
  proxy.latency(50, 20);
  const since = performance.now();
  for (const word of ["one", "two", "three"]) client.send(word);
  await client.gets("echo hi\necho one\necho two\necho three\n");
  t.ok(performance.now() - since >= 2 * 30 - 2, "at least twice the delay less the jitter");
});

scene("what waits for its time goes at once when it heals", async (t, { echo, proxy }) => {
  const client = await acquainted(proxy);
  proxy.latency(3_600_000);
  client.send("late");
  await until(() => proxy.stats().requestBytes === 8);
  t.same(echo.received, ["hi"]);
  await proxy.heal();
  await client.gets("echo hi\necho late\n");
});

scene("throttle spreads bytes over time", async (t, { proxy }) => {
  const client = await acquainted(proxy);
  proxy.throttle(20_000);
  const since = performance.now();
  const line = "x".repeat(2_000);
  client.send(line);
  await client.gets(`echo hi\necho ${line}\n`);
  t.ok(performance.now() - since >= 75, "2 kB at 20 kB/s take 100 ms, less the first slice");
});

scene("limit cuts in the middle of a reply", async (t, { proxy }) => {
  const client = await acquainted(proxy);
  proxy.limit(7);
  client.send("abcdef");
  t.equal(await client.closes(), "end");
  t.equal(client.text, "echo hi\necho ab");
  await proxy.heal();
  await acquainted(proxy);
});

scene("reset ends both sides by RST, and new connections work", async (t, { echo, proxy }) => {
  const client = await acquainted(proxy);
  proxy.reset();
  t.equal(await client.closes(), "ECONNRESET");
  await until(() => echo.sockets.size === 0);
  t.same(echo.errors, ["ECONNRESET"]);
  t.equal(proxy.stats().open, 0);
  await acquainted(proxy);
});

scene("reset leaves nothing of connections that are just ending", async (t, { proxy }) => {
  const comeAndGo = async (): Promise<void> => void (await acquainted(proxy)).socket.destroy();
  await Promise.all(Array.from({ length: 10 }, comeAndGo));
  proxy.reset();
  await until(() => proxy.stats().open === 0);
  t.equal(proxy.stats().total, 10);
});

scene("blackhole swallows both ways, and accepts new connections in silence", async (t, { echo, proxy }) => {
  const asking = await acquainted(proxy);
  const listening = await acquainted(proxy);
  proxy.blackhole();
  asking.send("lost");
  const stranger = await Client.connect(proxy.port);
  stranger.send("hello?");
  for (const socket of echo.sockets) socket.write("news\n");
  await until(() => proxy.stats().lostBytes === 5 + 7 + 2 * 5);
  t.same(echo.received, ["hi", "hi"]);
  t.equal(echo.sockets.size, 2, "the new connection never reached the server");
  t.same([asking.text, listening.text, stranger.text], ["echo hi\n", "echo hi\n", ""]);
  t.same([asking.ended, listening.ended, stranger.ended], [undefined, undefined, undefined]);
});

scene("after a blackhole only connections that lost something stay silent", async (t, { echo, proxy }) => {
  const unlucky = await acquainted(proxy);
  const lucky = await acquainted(proxy);
  proxy.blackhole();
  unlucky.send("lost");
  await until(() => proxy.stats().lostBytes === 5);
  await proxy.heal();
  unlucky.send("lost too");
  await until(() => proxy.stats().lostBytes === 14);
  const [unluckyServer] = echo.sockets;
  unluckyServer?.write("news\n");
  await until(() => proxy.stats().lostBytes === 19);
  t.equal(unlucky.text, "echo hi\n", "the other direction is silent too");
  lucky.send("again");
  await lucky.gets("echo hi\necho again\n");
  await acquainted(proxy);
  t.same(echo.received, ["hi", "hi", "again", "hi"]);
  t.equal(unlucky.ended, undefined);
});

scene(
  "half-open connections stay silent for good, their end is lost as well, new ones work",
  async (t, { echo, proxy }) => {
    const old = await acquainted(proxy);
    proxy.halfOpen();
    old.send("lost");
    await until(() => proxy.stats().lostBytes === 5);
    await proxy.heal();
    old.socket.end();
    await acquainted(proxy);
    await until(() => proxy.stats().open === 1);
    t.equal(echo.sockets.size, 2, "the server still believes in the old one");
    t.same(echo.received, ["hi", "hi"]);
    const [first] = echo.sockets;
    first?.resetAndDestroy();
    await until(() => echo.sockets.size === 1);
    await acquainted(proxy);
    t.equal(old.ended, undefined, "nor does the client learn that the server has gone");
  },
);

scene("dropped replies: the server works, the client waits", async (t, { echo, proxy }) => {
  const client = await acquainted(proxy);
  proxy.dropReplies();
  client.send("work");
  await until(() => proxy.stats().lostBytes === 10);
  t.same(echo.received, ["hi", "work"]);
  t.equal(client.text, "echo hi\n");
});

scene("paused replies arrive when it heals", async (t, { echo, proxy }) => {
  const client = await acquainted(proxy);
  proxy.pauseReplies();
  client.send("work");
  client.send("bye");
  await until(() => proxy.stats().replyBytes === 18);
  t.same([echo.received.at(-1), client.text], ["bye", "echo hi\n"]);
  await proxy.heal();
  t.equal(await client.closes(), "end");
  t.equal(client.text, "echo hi\necho work\n");
});

scene("refuses new connections while present ones go on, on the same port again after that", async (t, { proxy }) => {
  const client = await acquainted(proxy);
  const { port } = proxy;
  await proxy.refuse();
  await t.rejects(Client.connect(port), { code: "ECONNREFUSED" });
  client.send("still");
  await client.gets("echo hi\necho still\n");
  await proxy.heal();
  t.equal(proxy.port, port);
  await acquainted(proxy);
});

scene("a reset of the server reaches the client as a reset", async (t, { echo, proxy }) => {
  const client = await acquainted(proxy);
  for (const socket of echo.sockets) socket.resetAndDestroy();
  t.equal(await client.closes(), "ECONNRESET");
});

scene("a server that is not there resets the client", async (t, { echo, proxy }) => {
  await new Promise((resolve) => echo.server.close(resolve));
  const client = await Client.connect(proxy.port);
  t.equal(await client.closes(), "ECONNRESET");
  echo.server.listen(0);
});

scene("stop ends everything under every fault, and can be asked for twice", async (t, { proxy }) => {
  const silent = await acquainted(proxy);
  proxy.halfOpen();
  const late = await acquainted(proxy);
  proxy.latency(3_600_000);
  proxy.pauseReplies();
  late.send("never");
  await Promise.all([proxy.stop(), proxy.stop()]);
  t.same([await silent.closes(), await late.closes()], ["ECONNRESET", "ECONNRESET"]);
  t.equal(proxy.stats().open, 0);
  await t.rejects(Client.connect(proxy.port), { code: "ECONNREFUSED" });
});

void t.test("keeps all of the target's URL but host and port", async (t) => {
  const handles = trackHandles();
  const cases = ["postgres://me:p%40ss@127.0.0.1:1/app?x=127.0.0.1:1", "redis://127.0.0.1", "http://localhost:8080/a/"];
  for (const target of cases) {
    await using proxy = await startFaultProxy({ target });
    const expected = target.replace(/(?<=@|\/\/)(127\.0\.0\.1|localhost)(:\d+)?/, `127.0.0.1:${proxy.port}`);
    t.equal(proxy.url, expected);
  }
  await using plain = await startFaultProxy({ target: { host: "127.0.0.1", port: 1 } });
  t.equal(plain.url, `tcp://127.0.0.1:${plain.port}`);
  await plain.stop();
  await handles.assertNoLeaks();
});
