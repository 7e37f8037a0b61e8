import { createServer, type Socket } from "node:net";
import { status as codes, type ServiceError } from "@grpc/grpc-js";
import { isStewardError } from "@steward/core";
import { failure, type FaultProxy, startFaultProxy, testCertificates, until } from "@steward/testing";
import t from "tap";
import { GrpcChannelManager, type GrpcChannelOptions } from "../../src/index.ts";
import type { RendererClient } from "../fixtures/generated/clips/v1/Renderer.ts";
import { startProgram, type Program } from "../processes.ts";
import { Renderer, renderer, status } from "../renderer.ts";
import { testGrpcServer } from "../../src/testing.ts";

const { authority, serverCert, serverKey } = testCertificates;

/** Short, so that the tests are. To connect, a busy machine has the usual time, and where it stands still no circuit opens. */
const quick = { silenceMs: 200, reconnect: { minMs: 20, maxMs: 100 }, breaker: false } as const;
/** For connections that never come. */
const hasty = { ...quick, connectTimeoutMs: 1_000 };

interface Setup extends AsyncDisposable {
  readonly proxy: FaultProxy;
  readonly manager: GrpcChannelManager<RendererClient>;
  readonly client: RendererClient;
}

async function setup(server: Program, options: Partial<GrpcChannelOptions<RendererClient>> = {}): Promise<Setup> {
  const [host = "", port = ""] = server.said.split(":");
  const proxy = await startFaultProxy({ target: { host, port: Number(port) } });
  const manager = await new GrpcChannelManager(
    { address: `127.0.0.1:${proxy.port}`, service: Renderer, ...quick, ...options },
    { name: "renderer" },
  ).start();
  return {
    proxy,
    manager,
    client: manager.client,
    [Symbol.asyncDispose]: async () => {
      await manager.stop();
      await proxy.stop();
    },
  };
}

/** Calls until one succeeds, for 20 s at most; gives the time that took, in ms, and what failed before. */
async function untilHealthy(client: RendererClient, withinMs = 20_000): Promise<{ ms: number; failed: number }> {
  const since = performance.now();
  for (let failed = 0; ; failed++) {
    try {
      await status(client, { id: "a" }, { deadline: Date.now() + 1_000 });
      return { ms: performance.now() - since, failed };
    } catch (error) {
      if (performance.now() - since > withinMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

t.test("a half-open connection is replaced before anybody's deadline, and its calls end", async (t) => {
  await using server = await startProgram("server");
  await using it = await setup(server);
  it.proxy.halfOpen();
  const error = await failure<ServiceError>(status(it.client, { id: "lost" }));
  t.equal(error.code, codes.UNAVAILABLE);
  t.ok(isStewardError(error.cause, "OUTCOME_UNKNOWN"));
  t.match(error.details, /silent for \d+ ms, even to a health check/);
  t.match(await status(it.client, { id: "a" }), { said: "hello a" });
  t.match(it.manager.stats(), { reconnects: 1, retired: 1, unknown: 1 });
});

t.test("a stream on a half-open connection ends too, once a probe has noticed", async (t) => {
  await using server = await startProgram("server");
  await using it = await setup(server);
  const stream = it.client.render({ id: "endless" });
  const ended = new Promise<unknown>((resolve) => stream.on("error", resolve));
  await new Promise((resolve) => stream.once("data", resolve));
  it.proxy.halfOpen();
  const error: unknown = await it.manager.probe().catch((reason: unknown) => reason);
  t.ok(isStewardError(error, "PROBE_TIMEOUT"));
  t.match(await ended, { code: codes.UNAVAILABLE });
  await it.manager.probe();
});

t.test("a connection on which only a call is slow stays", async (t) => {
  await using server = await startProgram("server");
  await using it = await setup(server, { silenceMs: 500 });
  t.match(await status(it.client, { id: "slow", waitMs: 1_500 }), { said: "hello slow" });
  t.match(it.manager.stats(), { reconnects: 0, unknown: 0 });
  t.equal(it.proxy.stats().total, 1);
});

t.test("a time in which this process stood still is no silence of the other side", async (t) => {
  await using server = await startProgram("server");
  await using it = await setup(server);
  it.proxy.latency(50);
  const slow = status(it.client, { id: "slow", waitMs: 1_000 });
  const shared = new Int32Array(new SharedArrayBuffer(4));
  for (let times = 0; times < 4; times++) {
    Atomics.wait(shared, 0, 0, 300);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  t.match(await slow, { said: "hello slow" });
  t.match(it.manager.stats(), { reconnects: 0, retired: 0 });
});

t.test(
  "a peer that accepts and stays silent does not keep it connecting: it is back soon after the network is",
  async (t) => {
    await using server = await startProgram("server");
    await using it = await setup(server, hasty);
    it.proxy.blackhole();
    const first = await failure(status(it.client, { id: "lost" }));
    t.equal(first.code, codes.UNAVAILABLE);
    const second = await failure(status(it.client, { id: "waits" }));
    t.ok(isStewardError(second.cause, "GRPC_CONNECT_FAILED"));
    t.equal(second.code, codes.UNAVAILABLE);
    await it.proxy.heal();
    const { ms } = await untilHealthy(it.client);
    t.comment(`healthy after ${ms} ms`);
    t.ok(Number(it.manager.stats()["reconnects"]) >= 2);
  },
);

t.test("a server that answers nothing at all does not let it start, and leaves no socket", async (t) => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on("error", () => {}))).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  for (const tls of [false, true]) {
    const manager = new GrpcChannelManager({ address: `127.0.0.1:${port}`, tls, ...hasty });
    const error = await manager.start().catch((reason: unknown) => reason);
    t.ok(isStewardError(error, "GRPC_PROBE_FAILED"));
    await manager.stop();
  }
  for (const socket of sockets)
    await (socket.closed ? undefined : new Promise((resolve) => socket.resume().once("close", resolve)));
  server.close();
});

t.test("after a restart of the server calls are back as soon as it is", async (t) => {
  const first = await startProgram("server");
  await using it = await setup(first);
  t.match(await status(it.client, { id: "a" }), { said: "hello a" });
  const port = first.said.split(":")[1] ?? "";
  await first[Symbol.asyncDispose]();
  t.equal((await failure(status(it.client, { id: "a" }))).code, codes.UNAVAILABLE);
  await using _second = await startProgram("server", port);
  const { ms } = await untilHealthy(it.client);
  t.comment(`healthy after ${ms} ms`);
});

t.test("after a reset only what was in flight is lost", async (t) => {
  await using server = await startProgram("server");
  await using it = await setup(server);
  const lost = failure(status(it.client, { id: "slow", waitMs: 2_000 }));
  await status(it.client, { id: "a" });
  it.proxy.reset();
  t.equal((await lost).code, codes.UNAVAILABLE);
  t.match(await status(it.client, { id: "a" }), { said: "hello a" });
});

t.test("a server that drains loses no call: its GOAWAY sends new ones elsewhere", async (t) => {
  await using server = await startProgram("server");
  await using it = await setup(server, hasty);
  // Longer than a connection may take to come: there is none for new calls meanwhile.
  const slow = status(it.client, { id: "slow", waitMs: 1_600 });
  await status(it.client, { id: "a" });
  server.child.stdin?.end();
  t.match(await slow, { said: "hello slow" });
  t.equal(await server.exit, 0);
});

t.test("keepalive pings are sent as asked for", async (t) => {
  await using server = await startProgram("server");
  await using idle = await setup(server, { keepAliveMs: 50, keepAliveTimeoutMs: 1_000, keepAliveWhenIdle: true });
  await using silent = await setup(server, { keepAliveMs: 50 });
  const [a, b] = [idle.proxy.stats().requestBytes, silent.proxy.stats().requestBytes];
  await until(() => idle.proxy.stats().requestBytes >= a + 3 * 17, "three pings, of 17 bytes each");
  t.ok(silent.proxy.stats().requestBytes <= b + 17);
});

t.test("a process with a call on a silent connection stops in time, and ends", async (t) => {
  await using server = await startProgram("server");
  const [host = "", port = ""] = server.said.split(":");
  await using proxy = await startFaultProxy({ target: { host, port: Number(port) } });
  await using program = await startProgram("stop-frozen", `127.0.0.1:${proxy.port}`);
  proxy.blackhole();
  const since = performance.now();
  program.child.stdin?.write("go\n");
  t.equal(await program.exit, 0);
  t.ok(performance.now() - since < 30_000, `${performance.now() - since} ms`);
  t.same(await program.rest, [String(codes.UNAVAILABLE)]);
});

t.test("TLS: a connection that falls silent in the middle of its handshake is given up", async (t) => {
  await using server = await testGrpcServer({ tls: { cert: serverCert, key: serverKey } }).start();
  await using proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: server.client.port } });
  await using manager = await new GrpcChannelManager({
    address: `localhost:${proxy.port}`,
    tls: { ca: authority },
    ...hasty,
  }).start();
  proxy.blackhole();
  await t.rejects(manager.probe());
  await new Promise((resolve) => setTimeout(resolve, 2_300));
  await proxy.heal();
  const isWell = (): Promise<boolean> =>
    manager.probe().then(
      () => true,
      () => false,
    );
  await until(isWell, "it is well again");
  t.ok(proxy.stats().open <= 2, `${proxy.stats().open} connections`);
});

t.test("a call on a channel that was replaced ends soon too, once its connection is silent", async (t) => {
  await using server = await startProgram("server");
  await using it = await setup(server);
  const lost = failure(status(it.client, { id: "lost", waitMs: 60_000 }));
  await it.manager.renew();
  t.match(it.manager.stats(), { draining: 1 });
  it.proxy.halfOpen();
  t.ok(isStewardError((await lost).cause, "OUTCOME_UNKNOWN"), "not its deadline");
  t.match(it.manager.stats(), { reconnects: 0, unknown: 1, draining: 0 });
  t.match(await status(it.client, { id: "a" }), { said: "hello a" });
});

t.test("certificates that cannot be used are refused at a renewal, and not used for later channels", async (t) => {
  await using server = await testGrpcServer({
    services: [renderer()],
    tls: { cert: serverCert, key: serverKey },
  }).start();
  await using proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: server.client.port } });
  let given: object = { ca: authority };
  const address = `localhost:${proxy.port}`;
  await using manager = await new GrpcChannelManager({
    address,
    service: Renderer,
    tls: () => given,
    ...quick,
  }).start();
  given = { ca: authority, cert: "no certificate", key: "no key" };
  await t.rejects(manager.renew());
  t.match(await status(manager.client, { id: "a" }), { said: "hello a" });
  proxy.halfOpen();
  t.ok(isStewardError((await failure(status(manager.client, { id: "lost" }))).cause, "OUTCOME_UNKNOWN"));
  t.match(await status(manager.client, { id: "a" }), { said: "hello a" });
});
