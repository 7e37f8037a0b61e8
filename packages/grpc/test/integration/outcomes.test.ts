import { once } from "node:events";
import { constants, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { Metadata, status as codes, type ServiceError } from "@grpc/grpc-js";
import { isRetryable, isStewardError, StewardError } from "@steward/core";
import { failure, startFaultProxy, until, type FaultProxy } from "@steward/testing";
import t from "tap";
import { GrpcChannelManager, implement, type GrpcChannelOptions } from "../../src/index.ts";
import { testGrpcServer } from "../../src/testing.ts";
import type { RendererClient, RendererHandlers } from "../fixtures/generated/clips/v1/Renderer.ts";
import { nothing } from "../pair.ts";
import { Renderer, renderer, status, type Seen } from "../renderer.ts";

type Manager = GrpcChannelManager<RendererClient>;

interface Setup extends AsyncDisposable {
  readonly seen: Seen;
  readonly proxy: FaultProxy;
  readonly manager: Manager;
  readonly client: RendererClient;
}

function channelTo(port: number, options: Partial<GrpcChannelOptions<RendererClient>> = {}): Manager {
  return new GrpcChannelManager({ address: `127.0.0.1:${port}`, service: Renderer, breaker: false, ...options });
}

async function setup(options: Partial<GrpcChannelOptions<RendererClient>> = {}): Promise<Setup> {
  const seen = nothing();
  const server = await testGrpcServer({ services: [renderer(seen)] }).start();
  const proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: server.client.port } });
  const manager = await channelTo(proxy.port, options).start();
  return {
    seen,
    proxy,
    manager,
    client: manager.client,
    [Symbol.asyncDispose]: async () => {
      await manager.stop();
      await proxy.stop();
      await server.stop();
    },
  };
}

const BREAKS: Readonly<Record<string, (proxy: FaultProxy) => void>> = {
  RST: (proxy) => proxy.reset(),
  FIN: (proxy) => proxy.limit(1),
};

for (const [name, end] of Object.entries(BREAKS)) {
  t.test(`a connection that breaks by ${name} under a call leaves its outcome unknown`, async (t) => {
    await using it = await setup();
    const lost = failure<ServiceError>(status(it.client, { id: "a", waitMs: 300 }));
    await until(() => it.seen.started === 1);
    end(it.proxy);
    const error = await lost;
    t.equal(error.code, codes.UNAVAILABLE);
    t.ok(isStewardError(error.cause, "OUTCOME_UNKNOWN"), String(error.cause));
    t.notOk(isRetryable(error));
    t.match(it.manager.stats(), { unknown: 1, failed: 1 });
  });

  t.test(`so does one that breaks by ${name} under a stream that was answered in part`, async (t) => {
    await using it = await setup();
    const talk = it.client.talk();
    talk.write({ id: "a" });
    await once(talk, "data");
    const ended = once(talk, "error");
    end(it.proxy);
    talk.write({ id: "b" }); // the answer to it is what breaks at a limit
    const [error] = await ended;
    t.match(error, { code: codes.UNAVAILABLE, cause: { code: "OUTCOME_UNKNOWN", retryable: false } });
    t.match(it.manager.stats(), { unknown: 1 });
  });
}

t.test("a call whose outcome is unknown may be repeated where its method is declared to change nothing", async (t) => {
  await using it = await setup();
  const stream = it.client.render({ id: "endless" });
  await once(stream, "data");
  const ended = once(stream, "error");
  it.proxy.reset();
  t.match((await ended)[0], { cause: { code: "OUTCOME_UNKNOWN", retryable: true } });
});

t.test("and where the options of its channel name it for retries", async (t) => {
  await using it = await setup({ retry: { methods: ["clips.v1.Renderer"], statuses: ["ABORTED"] } });
  const lost = failure<ServiceError>(status(it.client, { id: "a", waitMs: 300 }));
  await until(() => it.seen.started === 1);
  it.proxy.reset();
  t.match(await lost, { cause: { code: "OUTCOME_UNKNOWN", retryable: true } });
});

t.test("a call that found no connection never left: it may be repeated", async (t) => {
  await using it = await setup({ connectTimeoutMs: 10_000 });
  await it.proxy.refuse();
  it.proxy.reset();
  await until(() => it.manager.stats()["size"] === 0, "the connection is gone");
  const error = await failure<ServiceError>(status(it.client, { id: "a" }));
  t.match(error, { code: codes.UNAVAILABLE, cause: { code: "RESOURCE_UNAVAILABLE", retryable: true } });
  t.match(it.manager.stats(), { unknown: 0, failed: 1 });
  t.equal(it.seen.started, 0);
});

t.test(
  "a call that a server refused unseen may be repeated, or that another kind of server says it cannot answer",
  async (t) => {
    const answer = { "content-type": "application/grpc" };
    let refused = 0;
    const server = createServer();
    server.on("stream", (stream: ServerHttp2Stream, headers: Record<string, string>) => {
      stream.on("error", () => {});
      if (headers[":path"]?.startsWith("/grpc.health") === true)
        return stream.respond({ ...answer, "grpc-status": codes.UNIMPLEMENTED }, { endStream: true });
      if (headers[":path"]?.endsWith("/Render") === true) {
        stream.respond(answer, { waitForTrailers: true });
        stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": codes.UNAVAILABLE }));
        return stream.end();
      }
      refused++;
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    t.teardown(() => server.close());
    await using manager = await channelTo((server.address() as AddressInfo).port).start(); // it listens on TCP
    const error = await failure<ServiceError>(status(manager.client, { id: "a" }));
    t.match(error, { code: codes.UNAVAILABLE, cause: { code: "RESOURCE_UNAVAILABLE", retryable: true } });
    t.equal(refused, 2, "grpc-js has asked twice");
    const [own] = await once(manager.client.render({ id: "a" }).resume(), "error");
    t.match(own, { code: codes.UNAVAILABLE, cause: { code: "RESOURCE_UNAVAILABLE", retryable: true } });
    t.match(manager.stats(), { unknown: 0, failed: 2 });
  },
);

t.test("calls that the stop of a server ends say so, and leave unknown what their handlers did", async (t) => {
  const seen = nothing();
  await using server = await testGrpcServer({ services: [renderer(seen)], maxConcurrent: 3 }).start();
  await using manager = await channelTo(server.client.port).start();
  const { client } = manager;
  const talk = client.talk();
  talk.write({ id: "a" });
  const stream = client.render({ id: "endless" });
  await Promise.all([once(talk, "data"), once(stream, "data")]);
  const lost = failure<ServiceError>(status(client, { id: "a", waitMs: 60_000 }));
  await until(() => seen.started === 1);
  const waiting = failure<ServiceError>(status(client, { id: "b" }));
  await until(() => server.stats()["pending"] === 1);
  const ends = Promise.all([once(talk, "error"), once(stream, "error")]);
  stream.resume();
  await server.stop({ signal: AbortSignal.abort() }).catch(() => {});
  const details = "the server stopped while the call was in flight";
  for (const error of [await lost, ...(await ends).flat()])
    t.match(error, { code: codes.UNAVAILABLE, details, cause: { code: "OUTCOME_UNKNOWN" } });
  t.notOk(isRetryable(await lost));
  t.match(await waiting, {
    code: codes.UNAVAILABLE,
    details: "the server stopped before the call began",
    cause: { code: "RESOURCE_UNAVAILABLE", retryable: true },
  });
  t.match(manager.stats(), { unknown: 3, failed: 4, succeeded: 0 });
  t.match(seen.aborted, [{ code: "RESOURCE_UNAVAILABLE" }]);
  t.equal(seen.started, 1);
});

t.test("a server that says itself that it is unavailable leaves nothing unknown", async (t) => {
  const down = new StewardError("RESOURCE_UNAVAILABLE", "db: down", { resource: "db" });
  const services = [
    implement<RendererHandlers>(Renderer, {
      Status: () => {
        throw down;
      },
      Render: async function* ({ id }) {
        yield { id };
        throw down;
      },
      Upload: (_, { sendMetadata }) => {
        sendMetadata(new Metadata());
        throw down;
      },
      Talk: () => {
        throw down;
      },
    }),
  ];
  await using server = await testGrpcServer({ services }).start();
  await using manager = await channelTo(server.client.port).start();
  const { client } = manager;
  const ofCall = await failure<ServiceError>(status(client, { id: "a" }));
  const [ofStream] = await once(client.render({ id: "a" }).resume(), "error");
  const [ofHeaders] = await new Promise<unknown[]>((resolve) => client.upload((...answer) => resolve(answer)).end());
  for (const error of [ofCall, ofStream, ofHeaders])
    t.match(error, { code: codes.UNAVAILABLE, cause: { code: "RESOURCE_UNAVAILABLE", retryable: true } });
  t.match(manager.stats(), { unknown: 0, failed: 3 });
});
