import { once } from "node:events";
import { connect } from "node:http2";
import type { Socket } from "node:net";
import { createServer } from "node:tls";
import {
  Client,
  credentials,
  ServerInterceptingCall,
  status as codes,
  type ServerInterceptor,
  type ServiceError,
} from "@grpc/grpc-js";
import { isStewardError } from "@steward/core";
import { failure, testCertificates, until } from "@steward/testing";
import t from "tap";
import { checkHealth, GrpcChannelManager, watchHealth } from "../../src/index.ts";
import { testGrpcServer } from "../../src/testing.ts";
import { pair } from "../pair.ts";
import { Renderer, renderer, status } from "../renderer.ts";

const { serverCert: cert, serverKey: key, authority: ca } = testCertificates;

t.test("metadata that cannot be made fails its call alone, and gives its place back", async (t) => {
  let isBroken = true;
  const metadata = (): Record<string, string> => {
    if (isBroken) throw new Error("no vault");
    return {};
  };
  await using it = await pair({ metadata, maxConcurrent: 1, maxPending: 0 });
  t.match(await failure(status(it.client, { id: "a" })), { details: "no vault" });
  isBroken = false;
  t.match(await status(it.client, { id: "a" }), { said: "hello a" });
});

t.test("a stop ends calls that still wait for what they carry, and what comes late is not sent", async (t) => {
  let give: (texts: Record<string, string>) => void = () => {};
  await using it = await pair({ metadata: () => new Promise((resolve) => (give = resolve)) });
  const call = failure(status(it.client, { id: "a" }));
  t.match(it.manager.stats(), { inUse: 1 });
  const now = new AbortController();
  now.abort();
  await it.manager.stop({ signal: now.signal }).catch(() => {});
  t.ok(isStewardError((await call).cause, "RESOURCE_UNAVAILABLE"));
  give({});
  await it.server.stop();
  t.equal(it.seen.started, 0);
});

t.test("where the owner of a client has closed it, calls say so", async (t) => {
  await using it = await pair();
  const yours = new Client(it.server.client.address, credentials.createInsecure());
  await using manager = await new GrpcChannelManager({ client: yours, service: Renderer }).start();
  yours.close();
  const error = await failure<ServiceError>(status(manager.client, { id: "a" }));
  t.equal(error.code, codes.UNAVAILABLE);
  t.ok(isStewardError(error.cause, "RESOURCE_UNAVAILABLE"));
  t.match(error.details, /takes no calls: .*shut down/);
  t.match(manager.stats(), { inUse: 0 });
});

t.test("a watch whose caller has gone before it began ends", async (t) => {
  await using it = await pair();
  const watch = watchHealth(it.client, "", { signal: AbortSignal.abort() });
  t.equal((await failure(watch.next())).code, codes.CANCELLED);
});

t.test("a drain takes back what was said of health, and no watch keeps it from ending", async (t) => {
  await using it = await pair();
  const slow = status(it.client, { id: "slow", waitMs: 100 });
  await until(() => it.seen.started === 1);
  const watch = watchHealth(it.client);
  t.equal((await watch.next()).value, "SERVING");
  // Another watch, of which only the headers are there when the drain begins.
  const session = connect(`http://${it.server.client.address}`);
  await once(session, "remoteSettings");
  const half = session.request({
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Watch",
    "content-type": "application/grpc",
    te: "trailers",
  });
  await new Promise((resolve) => session.ping(resolve));
  const draining = it.server.drain();
  it.server.client.setHealth("SERVING");
  t.equal((await watch.next()).value, "NOT_SERVING");
  t.equal((await watch.next()).done, true);
  half.end(Buffer.alloc(5));
  const answer = await half.toArray();
  t.same(Buffer.concat(answer as Buffer[]), Buffer.from([0, 0, 0, 0, 2, 8, 2]), "it is not serving"); // a stream of bytes
  await draining;
  t.match(await slow, { said: "hello slow" });
  session.close();
});

t.test("interceptors of a server see its calls", async (t) => {
  const paths: string[] = [];
  const interceptor: ServerInterceptor = (method, call) => {
    paths.push(method.path);
    return new ServerInterceptingCall(call);
  };
  await using it = await pair({}, { interceptors: [interceptor] });
  await status(it.client, { id: "a" });
  t.ok(paths.includes("/clips.v1.Renderer/Status"));
});

t.test("a connection that is old enough is replaced without a lost call", async (t) => {
  const peers = new Set<string>();
  await using it = await pair({}, { maxLifetimeMs: 50 });
  await until(() => {
    void status(it.client, { id: "peer" }).then(
      ({ said }) => peers.add(JSON.parse(said).peer),
      (error: unknown) => t.fail("a call was lost", { error }),
    );
    return peers.size > 2;
  });
  await it.manager.drain();
});

t.test("TLS: a certificate is checked for the address itself, and an address is not sent as a name", async (t) => {
  await using server = await testGrpcServer({ services: [renderer()], host: "0.0.0.0", tls: { cert, key } }).start();
  const { port } = server.client;
  for (const address of [`127.0.0.1:${port}`, `ipv4:127.0.0.1:${port}`]) {
    await using manager = await new GrpcChannelManager({ address, tls: { ca } }).start();
    t.equal(await checkHealth(manager.client), "SERVING");
  }
  const elsewhere = new GrpcChannelManager({ address: `127.0.0.2:${port}`, tls: { ca }, connectTimeoutMs: 500 });
  const error: unknown = await elsewhere.start().catch((reason: unknown) => reason);
  t.ok(isStewardError(error, "GRPC_PROBE_FAILED"), "the certificate is not for 127.0.0.2");
  const names: unknown[] = [];
  const sockets: Socket[] = [];
  const listener = createServer({ cert, key, ALPNProtocols: ["h2"] }, (socket) => {
    names.push(socket.servername);
    sockets.push(socket);
  });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const bound = listener.address();
  const silent = typeof bound === "object" && bound !== null ? bound.port : 0;
  for (const host of ["127.0.0.1", "localhost"])
    await new GrpcChannelManager({ address: `${host}:${silent}`, tls: { ca }, connectTimeoutMs: 2_000 })
      .start()
      .catch(() => {});
  listener.close();
  for (const socket of sockets) socket.destroy();
  t.ok(names.includes(false) && names.includes("localhost") && !names.includes("127.0.0.1"), String(names));
});
