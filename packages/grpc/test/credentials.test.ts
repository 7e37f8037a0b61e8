import { once } from "node:events";
import { connect, constants } from "node:http2";
import { createServer, type AddressInfo } from "node:net";
import { inspect } from "node:util";
import {
  ChannelCredentials,
  credentials,
  InterceptingCall,
  Metadata,
  status as codes,
  type Interceptor,
} from "@grpc/grpc-js";
import { failure, machineAddress, testCertificates, until } from "@steward/testing";
import t from "tap";
import { GrpcChannelManager, type GrpcChannelOptions } from "../src/index.ts";
import { hostsOf, isOverheard } from "../src/channel/hosts.ts";
import { placeOf } from "../src/channel/attributes.ts";
import { testGrpcServer } from "../src/testing.ts";
import { Renderer, renderer, status } from "./renderer.ts";

const SECRET = "Bearer S3CR3T";
const MACHINE = machineAddress() ?? "127.0.0.1";
const { authority: ca, serverCert: cert, serverKey: key } = testCertificates;

/** What becomes of `authorization`, by the transport. The README has it as a table. */
const TABLE: readonly (readonly [
  server: "plain" | "tls",
  host: string,
  Pick<GrpcChannelOptions, "tls" | "plaintext">,
  outcome: RegExp | "sent",
])[] = [
  ["plain", "127.0.0.1", {}, "sent"],
  ["plain", "localhost", {}, "sent"],
  ["plain", MACHINE, {}, /authorization: would go to the server in plain text: set tls, .*plaintext: true/],
  ["plain", MACHINE, { plaintext: true }, "sent"],
  ["tls", "127.0.0.1", { tls: true }, /certificate|self-signed/],
  ["tls", MACHINE, { tls: true }, /certificate|self-signed/],
  ["tls", "127.0.0.1", { tls: { ca } }, "sent"],
  ["tls", "localhost", { tls: { ca } }, "sent"],
  ["tls", MACHINE, { tls: { ca } }, /altnames/],
  ["tls", MACHINE, { tls: { ca, servername: "localhost" } }, "sent"],
  ["tls", MACHINE, { tls: { rejectUnauthorized: false } }, "sent"],
];

for (const [kind, host, options, outcome] of TABLE)
  t.test(`authorization for ${host} (${kind}) ${Object.keys(Object(options.tls) as object).join()}`, async (t) => {
    const tls = kind === "tls" ? { tls: { cert, key } } : {};
    await using server = await testGrpcServer({ services: [renderer()], host: "0.0.0.0", ...tls }).start();
    const address = `${host}:${server.client.port}`;
    const ask = async (): Promise<unknown> => {
      const made = new GrpcChannelManager({
        address,
        authorization: SECRET,
        ...options,
        service: Renderer,
      });
      await using channel = await made.start();
      const { said } = await status(channel.client, { id: "metadata" });
      return (JSON.parse(said) as { authorization?: string }).authorization;
    };
    const result = await ask().catch((error: unknown) => error);
    if (outcome === "sent") t.equal(result, SECRET);
    else {
      t.match((result as Error).message, outcome);
      t.notMatch(inspect(result, { depth: 20, showHidden: true }), /S3CR3T/);
    }
  });

t.test("metadata of a call is no way round, whoever adds it; what needs no credentials goes on", async (t) => {
  await using server = await testGrpcServer({ services: [renderer()], host: "0.0.0.0" }).start();
  const address = `${MACHINE}:${server.client.port}`;
  const metadata = new Metadata();
  metadata.set("authorization", SECRET);
  const ask = (client: InstanceType<typeof Renderer>, own: Metadata): Promise<unknown> =>
    new Promise((resolve, reject) =>
      client.status({ id: "metadata" }, own, (error, answer) => (error === null ? resolve(answer) : reject(error))),
    );
  await using channel = await new GrpcChannelManager({ address, service: Renderer, breaker: {} }).start();
  for (let i = 0; i < 20; i++)
    t.match(await failure(ask(channel.client, metadata)), {
      code: codes.FAILED_PRECONDITION,
      cause: { code: "GRPC_PLAINTEXT_REFUSED" },
    });
  t.match(await ask(channel.client, new Metadata()), { said: /user-agent/ }, "nor does it open the breaker");
});

t.test("call credentials of grpc-js, and a client of yours, are no way round either", async (t) => {
  await using server = await testGrpcServer({ services: [renderer()], host: "0.0.0.0" }).start();
  const address = `${MACHINE}:${server.client.port}`;
  const refused = { code: codes.FAILED_PRECONDITION, cause: { code: "GRPC_PLAINTEXT_REFUSED" } };
  const added = new Metadata();
  added.set("authorization", SECRET);
  const ofCall = { credentials: credentials.createFromMetadataGenerator((_, callback) => callback(null, added)) };
  {
    await using channel = await new GrpcChannelManager({ address, service: Renderer }).start();
    t.match(await failure(status(channel.client, { id: "metadata" }, ofCall)), refused);
  }
  const client = new Renderer(address, ChannelCredentials.createInsecure());
  t.teardown(() => client.close());
  t.throws(() => new GrpcChannelManager({ client, authorization: SECRET, service: Renderer }), {
    code: "OPTIONS_INVALID",
    message: /authorization: would go to the server in plain text/,
  });
  await using channel = await new GrpcChannelManager({ client, service: Renderer }).start();
  t.match(await failure(status(channel.client, { id: "metadata" }, ofCall)), refused);
  t.match(await status(channel.client, { id: "metadata" }), { said: /user-agent/ });
});

t.test("an address of this machine is not looked for behind the proxy of the environment", async (t) => {
  await using server = await testGrpcServer({ services: [renderer()] }).start();
  let asked = 0;
  const proxy = createServer((socket) => {
    asked++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", () => resolve()));
  process.env["grpc_proxy"] = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  t.teardown(() => {
    delete process.env["grpc_proxy"];
    proxy.close();
  });
  const address = `localhost:${server.client.port}`;
  await using channel = await new GrpcChannelManager({ address, service: Renderer, authorization: SECRET }).start();
  t.match(await status(channel.client, { id: "metadata" }), { said: /S3CR3T/ });
  t.equal(asked, 0);
});

t.test("the hosts of every form of a target are known", (t) => {
  t.same(hostsOf("h:1"), ["h"]);
  t.same(hostsOf("dns:///h.example:1"), ["h.example"]);
  t.same(hostsOf("dns://8.8.8.8/h:1"), ["h"]);
  t.same(hostsOf("ipv4:127.0.0.1:1,10.0.0.1:2"), ["127.0.0.1", "10.0.0.1"]);
  t.same(hostsOf("ipv6:[::1]:1"), ["::1"]);
  t.same(hostsOf("unix:/run/x"), []);
  t.equal(isOverheard({ address: "ipv4:127.0.0.1:1,10.0.0.1:2" }), true);
  t.equal(isOverheard({ address: "xds:///anything", tls: false }), true);
  t.equal(isOverheard({ address: "[::1]:1", plaintext: false }), false);
  t.equal(isOverheard({ address: "unix:///run/x" }), false);
  t.equal(isOverheard({ address: "unix-abstract:x" }), false);
  t.equal(isOverheard({ address: "dns://8.8.8.8/127.0.0.1:1" }), false);
  t.equal(isOverheard({ address: "app.localhost:1" }), true, "where it leads is said by the resolver");
  t.equal(isOverheard({ address: "dns://8.8.8.8/localhost:1" }), true, "where it leads is said by that name server");
  t.equal(isOverheard({ address: "dns:///localhost:1" }), false);
  t.end();
});

t.test("where a target leads is told to traces, whatever its form", (t) => {
  const at = (target: string): unknown[] => Object.values(placeOf(target));
  for (const target of ["h-x.y:1", "dns:h-x.y:1", "dns:///h-x.y:1", "dns://8.8.8.8/h-x.y:1", "xds:///h-x.y:1"])
    t.same(at(target), ["h-x.y", 1], target);
  t.same(at("render-service:50051"), ["render-service", 50_051]);
  t.same(at("ipv4:127.0.0.1:1,10.0.0.1:2"), ["127.0.0.1", 1]);
  t.same(at("ipv6:[::1]:1"), ["::1", 1]);
  t.same(at("h"), ["h"]);
  t.same([at("unix:/run/x"), at("unix:///run/x")], [["/run/x"], ["/run/x"]]);
  t.end();
});

const untouched: Interceptor = (options, next) => new InterceptingCall(next(options));
const soon: Interceptor = (options, next) => new InterceptingCall(next({ ...options, deadline: Number.NaN }));

t.test("options of a call that are unknown or of a wrong type are refused before anything is sent", async (t) => {
  await using server = await testGrpcServer({ services: [renderer()] }).start();
  await using channel = await new GrpcChannelManager({ address: server.client.address, service: Renderer }).start();
  const { started } = channel.stats();
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ timeoutMs: 500 }, /call\.timeoutMs: is not an option/],
    [{ deadlin: 5 }, /did you mean "deadline"/],
    [{ deadline: "soon" }, /deadline: must be a Date/],
    [{ deadline: Number.NaN }, /deadline: must be a Date/],
    [{ timeoutMs: 500, interceptors: [untouched] }, /call\.timeoutMs: is not an option/],
    [{ deadline: 5, interceptors: [soon] }, /deadline: must be a Date/],
    [{ host: 5 }, /host: expected string/],
    [{ propagate_flags: -1 }, /propagate_flags: must be/],
  ];
  for (const [options, message] of cases) {
    const expected = { code: "OPTIONS_INVALID", message };
    t.match(await failure(status(channel.client, { id: "a" }, options)), expected);
    t.throws(() => channel.client.render({ id: "a" }, options), expected);
  }
  t.equal(channel.stats()["started"], started);
  t.match(await status(channel.client, { id: "a" }, { deadline: Date.now() + 5_000 }), { said: "hello a" });
});

t.test("a connection whose peer takes calls back again and again is ended; others go on", async (t) => {
  const limits = { maxStreamsPerConnection: 50, maxResetsPerSecond: 10 };
  await using server = await testGrpcServer({ services: [renderer()], ...limits }).start();
  await using channel = await new GrpcChannelManager({ address: server.client.address, service: Renderer }).start();
  const session = connect(`http://${server.client.address}`);
  session.on("error", () => {});
  await once(session, "connect");
  let [opened, goaway] = [0, 0];
  session.on("goaway", (code) => (goaway = code));
  const headers = {
    ":method": "POST",
    ":path": "/clips.v1.Renderer/Status",
    "content-type": "application/grpc",
    te: "trailers",
  };
  await until(async () => {
    for (let i = 0; i < 20 && !session.closed && !session.destroyed; i++, opened++) {
      const stream = session.request(headers).on("error", () => {});
      stream.close(constants.NGHTTP2_CANCEL);
    }
    await new Promise((resolve) => setImmediate(resolve));
    return session.closed || session.destroyed;
  }, "the connection is ended");
  t.equal(goaway, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  t.ok(opened < 1_000, `after ${opened} calls`);
  t.equal(server.stats()["resetFloods"], 1);
  t.match(await status(channel.client, { id: "a" }), { said: "hello a" });
});
