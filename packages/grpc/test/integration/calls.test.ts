import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { promisify } from "node:util";
import {
  Client,
  credentials,
  InterceptingCall,
  Metadata,
  Server,
  ServerCredentials,
  status as codes,
  type Interceptor,
  type ServiceError,
} from "@grpc/grpc-js";
import {
  checkHealth,
  grpcChannel,
  GrpcChannelManager,
  GrpcServerManager,
  GrpcStatusError,
  implement,
  statusDetails,
  watchHealth,
} from "../../src/index.ts";
import { CHANNELS, isStewardError, runWithContext, systemClock } from "@steward/core";
import { specOf } from "@steward/core/container";
import {
  FakeClock,
  compareMembers,
  documentedMembers,
  failure,
  operationsOf,
  testCertificates,
  until,
} from "@steward/testing";
import t from "tap";
import { testGrpcServer, testGrpcChannel } from "../../src/testing.ts";
import { nothing, pair } from "../pair.ts";
import { Renderer, renderer, status } from "../renderer.ts";
import type { RendererClient, RendererHandlers } from "../fixtures/generated/clips/v1/Renderer.ts";

const { authority, clientCert, clientKey, serverCert, serverKey } = testCertificates;

t.test("all four kinds of calls go through, as on any client of grpc-js", async (t) => {
  await using it = await pair();
  t.match(await status(it.client, { id: "a" }), { said: "hello a" });
  const percents: number[] = [];
  for await (const { percent } of it.client.render({ id: "b" })) percents.push(percent);
  t.same(percents, [0, 50, 100]);
  const uploaded = await new Promise((resolve, reject) => {
    const upload = it.client.upload((error, answer) => (error === null ? resolve(answer) : reject(error)));
    upload.write({ data: Buffer.alloc(70_000) });
    upload.write({ data: Buffer.alloc(5) });
    upload.end();
  });
  t.match(uploaded, { size: 70_005 });
  const talk = it.client.talk();
  const replies = talk[Symbol.asyncIterator]();
  talk.write({ id: "x" });
  t.match((await replies.next()).value, { id: "x", percent: 0 });
  talk.write({ id: "y" });
  t.match((await replies.next()).value, { id: "y", percent: 1 });
  talk.end();
  t.equal((await replies.next()).done, true);
  await until(() => it.manager.stats()["inUse"] === 0);
  t.match(it.manager.stats(), { started: 4, succeeded: 4, failed: 0, size: 1 });
});

t.test("events of calls name the method", async (t) => {
  await using it = await pair();
  const operations = await operationsOf(() => status(it.client, { id: "a" }));
  t.ok(operations.includes("/clips.v1.Renderer/Status"), String(operations));
});

t.test("clients of several services share a channel", async (t) => {
  await using it = await pair();
  const { channel } = it.manager;
  t.equal(channel.as(Renderer), it.client);
  t.ok(it.client instanceof Client);
  t.equal(channel.getChannel(), it.client.getChannel());
});

t.test("a call without a deadline gets one, and the server stops working on it", async (t) => {
  await using it = await pair({ timeoutMs: 150 });
  const error = await failure(status(it.client, { id: "slow", waitMs: 5_000 }));
  t.equal(error.code, codes.DEADLINE_EXCEEDED);
  t.ok(isStewardError(error.cause, "DEADLINE_EXCEEDED"));
  await until(() => it.seen.aborted.length > 0);
  t.match(it.manager.stats(), { timedOut: 1, inUse: 0 });
});

t.test("a call may ask for a longer deadline than the default, or a shorter one", async (t) => {
  await using it = await pair({ timeoutMs: 100 });
  t.match(await status(it.client, { id: "a", waitMs: 200 }, { deadline: Date.now() + 60_000 }), { said: "hello a" });
  t.equal(
    (await failure(status(it.client, { id: "a", waitMs: 1_000 }, { deadline: Date.now() + 20 }))).code,
    codes.DEADLINE_EXCEEDED,
  );
});

t.test("a stream outlives the default once it was answered, but not a silence longer than allowed", async (t) => {
  const clock = new FakeClock();
  await using it = await pair({ timeoutMs: 100, idleTimeoutMs: 200 }, {}, { clock });
  const got: number[] = [];
  const ended: unknown[] = [];
  const stream = it.client.render({ id: "endless" });
  stream.on("data", ({ percent }: { percent: number }) => got.push(percent));
  stream.on("error", ({ code }: ServiceError) => ended.push(code));
  await until(() => got.length === 3);
  await clock.advance(190);
  t.same(ended, []);
  await clock.advance(18);
  await until(() => ended.length > 0);
  t.same([got, ended], [[0, 50, 100], [codes.DEADLINE_EXCEEDED]]);
});

t.test("the deadline of the request, its id and its trace reach the handler", async (t) => {
  await using it = await pair();
  const context = {
    deadline: performance.now() + 20_000,
    requestId: "r-1",
    traceContext: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  };
  const { said } = await runWithContext(context, () => status(it.client, { id: "context" }));
  const { left, same, requestId, trace } = JSON.parse(said);
  t.ok(left > 0 && left <= 20_060, `${left} ms left`);
  t.ok(same);
  t.equal(requestId, "r-1");
  t.equal(trace, context.traceContext);
});

t.test("when the caller of a request goes, its calls are cancelled down to the handler", async (t) => {
  await using it = await pair();
  const abort = new AbortController();
  const call = failure(
    runWithContext({ signal: abort.signal }, () => status(it.client, { id: "slow", waitMs: 5_000 })),
  );
  await until(() => it.seen.started === 1);
  abort.abort(new Error("gone"));
  const error = await call;
  t.equal(error.code, codes.CANCELLED);
  t.ok(isStewardError(error.cause, "CALL_ABORTED"));
  await until(() => it.seen.aborted.length === 1);
  t.ok(isStewardError(it.seen.aborted[0], "CALL_ABORTED"));
});

t.test("cancelling a call as grpc-js has it ends it, also while it waits for its turn", async (t) => {
  await using it = await pair({ maxConcurrent: 1 });
  const first = it.client.render({ id: "endless" });
  await once(first, "data");
  let waiting: { cancel(): void } | undefined;
  const second = failure(
    new Promise(
      (resolve, reject) =>
        (waiting = it.client.status({ id: "b" }, (error, answer) =>
          error === null ? resolve(answer) : reject(error),
        )),
    ),
  );
  t.match(it.manager.stats(), { inUse: 1, pending: 1 });
  waiting?.cancel();
  t.equal((await second).code, codes.CANCELLED);
  t.match(it.manager.stats(), { inUse: 1, pending: 0 });
  first.cancel();
  const [error] = await once(first, "error");
  t.match(error, { code: codes.CANCELLED });
  await until(() => it.manager.stats()["inUse"] === 0);
});

t.test("a full queue refuses at once", async (t) => {
  await using it = await pair({ maxConcurrent: 1, maxPending: 0 });
  const running = status(it.client, { id: "a", waitMs: 100 });
  const error = await failure(status(it.client, { id: "b" }));
  t.equal(error.code, codes.RESOURCE_EXHAUSTED);
  t.ok(isStewardError(error.cause, "OVERLOADED"));
  await running;
});

t.test("an onError that fails itself is reported, and changes nothing for the caller", async (t) => {
  const heard: unknown[] = [];
  const hear = (event: unknown): number => heard.push(event);
  subscribe(CHANNELS.unhandled, hear);
  t.teardown(() => unsubscribe(CHANNELS.unhandled, hear));
  const why = new Error("the logger is broken");
  const broken = {
    throws: () => {
      throw why;
    },
    rejects: () => Promise.reject(why),
  };
  for (const onError of Object.values(broken)) {
    await using it = await pair({}, { onError });
    t.match(await failure(status(it.client, { id: "broken" })), { code: codes.INTERNAL });
    await until(() => heard.length === 2);
    t.match(heard.splice(0), [
      { source: "rpc", error: { message: "a secret of the server" } },
      { source: "task", name: "onError", error: why },
    ]);
  }
});

t.test("what a handler throws becomes a status, with details that the caller can read", async (t) => {
  const heard: unknown[] = [];
  await using it = await pair({}, { onError: (error: unknown, path: string) => heard.push([path, error]) });
  const missing = await failure<ServiceError>(status(it.client, { id: "missing" }));
  t.match(missing, { code: codes.NOT_FOUND, details: "no such job" });
  t.same(statusDetails(missing), {
    reason: "JOB_MISSING",
    domain: "steward",
    metadata: { id: "missing" },
    retryAfterMs: 1_500,
  });
  const down = await failure<ServiceError>(status(it.client, { id: "down" }));
  t.equal(down.code, codes.UNAVAILABLE);
  t.match(statusDetails(down), { reason: "RESOURCE_UNAVAILABLE", metadata: {} });
  t.equal(down.details, "a part of the service is not available now; please try again");
  const broken = await failure<ServiceError>(status(it.client, { id: "broken" }));
  t.match(broken, { code: codes.INTERNAL, details: "something went wrong on our side" });
  t.match(statusDetails(broken), { reason: "INTERNAL" });
  t.match(heard, [["/clips.v1.Renderer/Status", { message: "a secret of the server" }]]);
  const half = await failure(
    (async () => {
      for await (const _ of it.client.render({ id: "fails" }));
    })(),
  );
  t.match(half, { code: codes.ABORTED, details: "half way" });
  t.match(it.manager.stats(), { started: 4, succeeded: 2, failed: 2 }, "an answer is an answer");
});

t.test("an error of a handler is one of ours, with a code and a status", async (t) => {
  const error = new GrpcStatusError("NOT_FOUND", "no such job");
  t.ok(isStewardError(error, "GRPC_STATUS"));
  t.match(error, { status: "NOT_FOUND", reason: "NOT_FOUND", retryable: false });
});

t.test("an answer that cannot be sent is reported, as its caller sees INTERNAL", async (t) => {
  const heard: unknown[] = [];
  const nothing = implement<RendererHandlers>(Renderer, { Status: async () => undefined } as never);
  await using server = await testGrpcServer({
    services: [nothing],
    onError: (error, path) => heard.push([path, error]),
  }).start();
  await using manager = await new GrpcChannelManager({ address: server.client.address, service: Renderer }).start();
  t.equal((await failure(status(manager.client, { id: "a" }))).code, codes.INTERNAL);
  t.match(heard, [["/clips.v1.Renderer/Status", Error]]);
});

t.test("limits of connections hold once, however often a server with a connection injector starts", async (t) => {
  const manager = testGrpcServer();
  manager.client.createConnectionInjector(ServerCredentials.createInsecure());
  const servers = Reflect.get(manager.client, "http2Servers") as Map<
    Server & { listenerCount(name: string): number },
    unknown
  >;
  const [injected] = servers.keys();
  await manager.start();
  const listeners = injected?.listenerCount("session");
  await manager.stop();
  await manager.start();
  t.equal(injected?.listenerCount("session"), listeners);
  await manager.stop();
});

t.test("a method without a handler is unimplemented", async (t) => {
  await using server = await testGrpcServer({
    services: [{ definition: Renderer.service, handlers: new Map() }],
  }).start();
  await using manager = await new GrpcChannelManager({ address: server.client.address, service: Renderer }).start();
  t.equal((await failure(status(manager.client, { id: "a" }))).code, codes.UNIMPLEMENTED);
});

t.test("calls carry metadata, a credential that is asked for each time, and what interceptors add", async (t) => {
  let asked = 0;
  const interceptor: Interceptor = (options, next) =>
    new InterceptingCall(next(options), {
      start: (metadata, listener, go) => {
        metadata.set("x-seen", options.method_definition.path);
        go(metadata, listener);
      },
    });
  await using it = await pair({
    metadata: async (path) => ({ "x-path": path, "x-own": "default" }),
    authorization: () => `Bearer ${++asked}`,
    interceptors: [interceptor],
  });
  const own = new Metadata();
  own.set("x-own", "mine");
  const { said } = await new Promise<{ said: string }>((resolve, reject) =>
    it.client.status({ id: "metadata" }, own, (error, answer) =>
      error === null && answer ? resolve(answer) : reject(error),
    ),
  );
  const path = "/clips.v1.Renderer/Status";
  t.match(JSON.parse(said), { "x-path": path, "x-seen": path, "x-own": "mine", authorization: "Bearer 1" });
  t.match(JSON.parse((await status(it.client, { id: "metadata" })).said), {
    "x-own": "default",
    authorization: "Bearer 2",
  });
});

t.test("a call that waited for its place is made, and heard of, in the context of its own caller", async (t) => {
  const store = new AsyncLocalStorage<string>();
  await using it = await pair({ maxConcurrent: 1, metadata: () => ({ "x-tenant": store.getStore() ?? "" }) });
  const call = (tenant: string): Promise<unknown> =>
    store.run(
      tenant,
      () =>
        new Promise((resolve, reject) =>
          it.client.status({ id: "metadata" }, (error, answer) =>
            error === null && answer ? resolve([store.getStore(), JSON.parse(answer.said)["x-tenant"]]) : reject(error),
          ),
        ),
    );
  t.same(await Promise.all(["one", "two", "three"].map(call)), [
    ["one", "one"],
    ["two", "two"],
    ["three", "three"],
  ]);
});

t.test("metadata that cannot be made fails the call", async (t) => {
  await using it = await pair({ metadata: () => Promise.reject(new Error("no vault")) });
  t.match(await failure(status(it.client, { id: "a" })), { details: "no vault" });
});

t.test("messages that are too large are refused, at either side", async (t) => {
  await using it = await pair({ maxSendBytes: 2_000, maxReceiveBytes: 500 }, { maxReceiveBytes: 1_000 });
  t.equal((await failure(status(it.client, { id: "x".repeat(3_000) }))).code, codes.RESOURCE_EXHAUSTED);
  t.match(await failure(status(it.client, { id: "x".repeat(1_500) })), {
    code: codes.RESOURCE_EXHAUSTED,
    details: /larger than max/,
  });
  t.equal((await failure(status(it.client, { id: "x".repeat(600) }))).code, codes.RESOURCE_EXHAUSTED);
});

t.test("methods that are named are retried by the channel", async (t) => {
  await using it = await pair({ retry: { methods: ["clips.v1.Renderer/Status"], maxAttempts: 3, baseDelayMs: 5 } });
  t.equal((await failure(status(it.client, { id: "down" }))).code, codes.UNAVAILABLE);
  t.equal(it.seen.started, 3);
});

t.test("methods that are named are hedged by the channel", async (t) => {
  await using it = await pair({ hedging: { methods: ["clips.v1.Renderer"], maxAttempts: 2, delayMs: 30 } });
  await status(it.client, { id: "a", waitMs: 200 });
  t.equal(it.seen.started, 2);
});

t.test("a service config is taken as it is", async (t) => {
  const serviceConfig = { methodConfig: [{ name: [{ service: "clips.v1.Renderer" }], timeout: "0.05s" }] };
  await using it = await pair({ serviceConfig });
  t.equal((await failure(status(it.client, { id: "a", waitMs: 2_000 }))).code, codes.DEADLINE_EXCEEDED);
});

t.test("addresses of one name share the calls", async (t) => {
  const seen = [nothing(), nothing()];
  await using one = await testGrpcServer({ services: [renderer(seen[0])] }).start();
  await using two = await testGrpcServer({ services: [renderer(seen[1])] }).start();
  const address = `ipv4:${one.client.address},${two.client.address}`;
  await using manager = await new GrpcChannelManager({
    address,
    service: Renderer,
    loadBalancing: "round_robin",
  }).start();
  // The second connection may be a moment behind the first.
  await until(() => {
    void status(manager.client, { id: "a" }).catch(() => {});
    return seen.every(({ started }) => started > 0);
  });
  await until(() => manager.stats()["inUse"] === 0);
  t.ok(seen.every(({ started }) => started > 0));
});

t.test("health is told and watched, of the server and of a service", async (t) => {
  await using it = await pair();
  const service = "clips.v1.Renderer";
  t.equal(await checkHealth(it.client, service), "SERVING");
  t.equal((await failure(checkHealth(it.client, "unknown"))).code, codes.NOT_FOUND);
  const seen: string[] = [];
  for await (const now of watchHealth(it.client, service)) {
    seen.push(now);
    if (seen.length === 1) it.server.client.setHealth("NOT_SERVING", service);
    if (seen.length === 2) break;
  }
  t.same(seen, ["SERVING", "NOT_SERVING"]);
  for (const wrong of ["BOGUS", undefined, 7])
    t.throws(() => it.server.client.setHealth(wrong as never), { code: "OPTIONS_INVALID" });
  t.equal(await checkHealth(it.client), "SERVING");
  await using picky = new GrpcChannelManager({ address: it.server.client.address, healthService: service });
  const error = await picky.start().catch((reason: unknown) => reason);
  t.ok(isStewardError(error, "GRPC_NOT_SERVING"));
  it.server.client.setHealth("SERVING", service);
  await picky.start();
  await picky.probe();
});

t.test("a watch ends when its signal aborts", async (t) => {
  await using it = await pair();
  const abort = new AbortController();
  const error = await failure(
    (async () => {
      for await (const _ of watchHealth(it.client, "", { signal: abort.signal })) abort.abort();
    })(),
  );
  t.equal(error.code, codes.CANCELLED);
});

t.test("renew takes a new channel for new calls; what runs finishes on the old one", async (t) => {
  await using it = await pair({
    channelOptions: { "grpc.primary_user_agent": "ours" },
  });
  const { client } = it;
  const slow = status(client, { id: "a", waitMs: 150 });
  await until(() => it.seen.started === 1);
  await it.manager.renew();
  t.match(it.manager.stats(), { draining: 1 });
  const [{ said }] = [await status(client, { id: "metadata" })];
  t.match(JSON.parse(said)["user-agent"], /^ours /);
  t.match(await slow, { said: "hello a" });
  await until(() => it.manager.stats()["draining"] === 0);
  t.equal(client, it.manager.client);
});

t.test("a client of yours is looked after, and neither replaced nor closed", async (t) => {
  await using it = await pair();
  const yours = new Client(it.server.client.address, credentials.createInsecure());
  const clock = new FakeClock();
  const options = { client: yours, service: Renderer, timeoutMs: 1_000 };
  const manager = await new GrpcChannelManager(options, { clock }).start();
  t.match(await status(manager.client, { id: "a" }), { said: "hello a" });
  const late = failure(status(manager.client, { id: "a", waitMs: 30_000 }));
  await clock.advance(1_008);
  t.equal((await late).code, codes.DEADLINE_EXCEEDED);
  await manager.renew();
  await manager.stop();
  t.equal(await checkHealth(yours), "SERVING");
  yours.close();
});

t.test("a breaker refuses calls while the server fails", async (t) => {
  await using it = await pair({ breaker: { consecutiveFailures: 2, breakDurationMs: 10_000 } });
  for (let i = 0; i < 2; i++) await failure(status(it.client, { id: "down" }));
  const error = await failure(status(it.client, { id: "a" }));
  t.ok(isStewardError(error.cause, "CIRCUIT_OPEN"));
  t.equal(it.manager.passive.failingRatio, 1);
  const names = [...it.manager.metrics()].map(({ name }) => name);
  t.ok(
    ["dependency_requests_total", "grpc_channel_rebuilds_total", "grpc_calls_lost_total"].every((name) =>
      names.includes(name),
    ),
  );
});

t.test("a server takes no more calls at once than it may, and lets few wait", async (t) => {
  await using it = await pair({}, { maxConcurrent: 1, maxPending: 1 });
  const calls = [1, 2, 3].map((i) => status(it.client, { id: `${i}`, waitMs: 60 }));
  const ends = await Promise.allSettled(calls);
  t.equal(ends.filter(({ status: end }) => end === "fulfilled").length, 2);
  t.match(
    ends.find(({ status: end }) => end === "rejected"),
    { reason: { code: codes.RESOURCE_EXHAUSTED } },
  );
  t.equal(it.seen.started, 2);
});

t.test("a server bounds calls whose callers set no deadline", async (t) => {
  await using it = await pair({}, { timeoutMs: 60 });
  const raw = new Renderer(it.server.client.address, credentials.createInsecure());
  t.equal((await failure(status(raw, { id: "a", waitMs: 5_000 }))).code, codes.DEADLINE_EXCEEDED);
  raw.close();
});

t.test(
  "a drain finishes the calls in flight, ends streams that listen for it, and refuses what comes later",
  async (t) => {
    await using it = await pair();
    const slow = status(it.client, { id: "a", waitMs: 200 });
    const stream = it.client.render({ id: "endless" });
    const percents: number[] = [];
    const ended = once(stream, "end");
    stream.on("data", ({ percent }: { percent: number }) => percents.push(percent));
    await until(() => percents.length === 3);
    await until(() => it.seen.started === 1);
    const watch = watchHealth(it.client);
    t.equal((await watch.next()).value, "SERVING");
    const draining = it.server.drain();
    t.equal((await watch.next()).value, "NOT_SERVING");
    t.equal((await watch.next()).done, true);
    await ended;
    t.equal(percents.at(-1), 101);
    t.match(await slow, { said: "hello a" });
    await draining;
    t.equal((await failure(status(it.client, { id: "late" }))).code, codes.UNAVAILABLE);
  },
);

t.test("a server ends by force what a drain has left, and waits only for peers that do not close", async (t) => {
  const clock = new FakeClock();
  const server = new GrpcServerManager({ services: [renderer()] }, { clock });
  await server.start();
  const stopNow = (): Promise<unknown> => server.stop({ signal: AbortSignal.abort() }).catch(() => {});
  await using manager = await new GrpcChannelManager({ address: server.client.address, service: Renderer }).start();
  const call = failure(status(manager.client, { id: "a", waitMs: 60_000 }));
  await until(() => server.stats()["inUse"] === 1);
  await stopNow();
  t.equal(clock.now(), 0, "its clock has not moved");
  t.match(await call, { code: codes.UNAVAILABLE, details: "the server stopped while the call was in flight" });

  await server.start();
  const [host, port] = server.client.address.split(":");
  const peer = connectSocket({ host, port: Number(port), allowHalfOpen: true });
  peer.on("error", () => {}); // it is cut off
  let isSettled = false;
  await once(peer, "data"); // the settings of the server
  const stopping = stopNow().then(() => (isSettled = true));
  await once(peer.resume(), "end");
  await clock.advance(99);
  t.notOk(isSettled);
  await clock.advance(1);
  await stopping;
  peer.destroy();
});

t.test("a port that is taken is named", async (t) => {
  await using server = await testGrpcServer().start();
  const second = new GrpcServerManager({ services: [], port: server.client.port });
  const error = await second.start().catch((reason: unknown) => reason);
  t.ok(isStewardError(error, "GRPC_LISTEN_FAILED"));
});

t.test("a channel that stops ends streams and calls in flight with a clear status", async (t) => {
  await using it = await pair();
  const stream = it.client.render({ id: "endless" });
  await once(stream, "data");
  const ended = once(stream, "error");
  const call = failure(status(it.client, { id: "a", waitMs: 60_000 }));
  await until(() => it.seen.started === 1);
  const abort = new AbortController();
  const stopping = it.manager.stop({ signal: abort.signal });
  const [first] = await ended;
  t.match(first, { code: codes.UNAVAILABLE, details: /stopped while the call was in flight/ });
  abort.abort();
  await stopping.catch(() => {});
  t.ok(isStewardError((await call).cause, "RESOURCE_UNAVAILABLE"));
});

t.test("member by member its client is one of grpc-js", async (t) => {
  await using it = await pair();
  const raw = new Client(it.server.client.address, credentials.createInsecure());
  t.teardown(() => raw.close());
  const { compared, replaced, different } = compareMembers(raw, it.manager.channel);
  t.ok(compared >= 9, `${compared} members`);
  t.same([...replaced, ...different], []);
});

t.test("member by member its server is one of grpc-js, but for what the README lists", async (t) => {
  await using manager = await new GrpcServerManager({ services: [renderer()] }).start();
  const raw = new Server({
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.max_concurrent_streams": 1_000,
    "grpc.max_receive_message_length": 4 * 1_048_576,
    interceptors: [],
  });
  t.teardown(() => raw.forceShutdown());
  await promisify(raw.bindAsync.bind(raw))("127.0.0.1:0", ServerCredentials.createInsecure());
  const { compared, replaced, different } = compareMembers(raw, manager.client);
  t.ok(compared > 30, `${compared} members`);
  const documented = documentedMembers(readFileSync("README.md", "utf8"), "Differences to grpc-js");
  t.same([...replaced, ...different].sort(), documented);
});

t.test("a server takes services of grpc-js and of ours at any time, and is the same one after a restart", async (t) => {
  await using manager = await new GrpcServerManager({ services: [] }).start();
  const server = manager.client;
  t.ok(server instanceof Server);
  for (const end of [() => server.tryShutdown(() => {}), () => server.forceShutdown()])
    t.throws(end, { code: "LIFECYCLE_CONFLICT" });
  const ask = async (): Promise<string> => {
    await using channel = await new GrpcChannelManager({ address: server.address, service: Renderer }).start();
    return (await status(channel.client, { id: "a" })).said;
  };
  server.addService(Renderer.service, {
    Status: ({ request }: { request: { id: string } }, answer: (error: null, value: object) => void) =>
      answer(null, { id: request.id, said: "as grpc-js does" }),
  });
  t.equal(await ask(), "as grpc-js does");
  await using health = await new GrpcChannelManager({ address: server.address }).start();
  t.equal(await checkHealth(health.client, "clips.v1.Renderer"), "SERVING", "what was added is known to health");
  for (const given of [undefined, null, "SERVING"])
    t.throws(() => server.addService(Renderer.service, given as never), /requires two objects/, "grpc-js' own refusal");
  t.throws(() => server.addService(undefined as never, renderer()), /requires two objects/);
  server.removeService(Renderer.service);
  server.addService(Renderer.service, renderer());
  t.equal(await ask(), "hello a");
  t.match(manager.stats(), { started: 1 }, "of ours passes the guard");
  await manager.stop();
  await manager.start();
  t.equal(manager.client, server);
  t.equal(await ask(), "hello a");
});

t.test("in a container, a test's handlers take the place of a channel", async (t) => {
  const renderers = grpcChannel("renderer", { service: Renderer, address: "renderer.internal:443", tls: true });
  const { managed } = specOf(testGrpcChannel.definition(renderers, { services: [renderer()] }));
  const manager = managed?.create(managed.prepare({}), { name: "renderer", clock: systemClock });
  await manager?.start();
  t.match(await status(manager?.client as RendererClient, { id: "a" }), { said: "hello a" });
  await manager?.stop();
  await using alone = await testGrpcChannel({ service: Renderer, services: [renderer()] }).start();
  t.match(await status(alone.client, { id: "b" }), { said: "hello b" });
  t.match(alone.client.getChannel().getTarget(), /^127\.0\.0\.1:\d+$/);
});

t.test("TLS: the server's authority, our certificate, and its renewal", async (t) => {
  const tls = { cert: serverCert, key: serverKey, ca: authority };
  await using server = await testGrpcServer({ services: [renderer()], tls }).start();
  const address = server.client.address;
  let asked = 0;
  const mutual = (): object => {
    asked++;
    return { ca: authority, cert: clientCert, key: clientKey, servername: "localhost" };
  };
  await using manager = await new GrpcChannelManager({ address, service: Renderer, tls: mutual }).start();
  t.match(JSON.parse((await status(manager.client, { id: "peer" })).said), { subject: { CN: "test client" } });
  await manager.renew();
  t.match(JSON.parse((await status(manager.client, { id: "peer" })).said), { subject: { CN: "test client" } });
  t.equal(asked, 2);
  for (const wrong of [{ ca: authority }, true, false] as const) {
    await using bad = new GrpcChannelManager({ address, service: Renderer, tls: wrong, connectTimeoutMs: 400 });
    const error = await bad.start().catch((reason: unknown) => reason);
    t.ok(isStewardError(error, "GRPC_PROBE_FAILED"), `not with ${JSON.stringify(wrong)}`);
  }
  await using trusting = await new GrpcChannelManager({
    address,
    tls: { rejectUnauthorized: false, cert: clientCert, key: clientKey },
  }).start();
  t.equal(await checkHealth(trusting.client), "SERVING");
});

t.test("a call announces that the process serves", async (t) => {
  const heard: unknown[] = [];
  const listener = (event: unknown): void => void heard.push(event);
  subscribe(CHANNELS.serving, listener);
  t.teardown(() => unsubscribe(CHANNELS.serving, listener));
  await using it = await pair();
  t.strictSame(heard, []);
  await status(it.client, { id: "a" });
  t.strictSame(heard, [{ resource: it.server.name }]);
});
