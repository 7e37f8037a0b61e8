import { createServer, type Server, type TLSSocket } from "node:tls";
import { connect, Socket, type AddressInfo } from "node:net";
import { once } from "node:events";
import { inspect } from "node:util";
import t from "tap";
import { redisCluster, RedisClusterManager } from "../src/cluster/index.ts";
import { redisPool, RedisPoolManager, redisUrlProblem, type RedisPoolOptions } from "../src/index.ts";
import { isDefinition, specOf } from "@steward/core/container";
import { Alarm, until } from "@steward/testing";
import { certificate, privateKey } from "./fixtures/tls.ts";
import { launch, manage, needsRedis, proxyTo } from "./setup.ts";

/** What is wrong with options, one line each. */
function problems(options: unknown, Made: new (given: never) => unknown = RedisPoolManager): string[] {
  try {
    return [String(new Made(options as never))]; // wrong on purpose
  } catch (error) {
    const found = (error as { problems?: { path: string; message: string }[] }).problems ?? [];
    return found.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
  }
}

t.test("every problem is told at once, with the nearest option for a typo", (t) => {
  const found = problems({ hots: "x", maxPending: -1, db: 1.5 }).join("\n");
  for (const message of [/db: /, /maxPending: /, /hots: .*did you mean "host"/]) t.match(found, message);
  t.end();
});

t.test("options that contradict each other are refused, in words", (t) => {
  const cases: [RedisPoolOptions, RegExp][] = [
    [{ url: "http://x" }, /redis:\/\/host:port\/db/],
    [{ url: "redis://x/notanumber" }, /redis:\/\/host:port\/db/],
    [{ url: "redis://x?db=1" }, /redis:\/\/host:port\/db/],
    [{ url: "redis://x", host: "y" }, /url and host contradict/],
    [{ path: "/x", port: 1 }, /port does not go with path/],
    [{ url: "redis://u:p@x/1", password: "q", db: 2 }, /password and db is given twice/],
    [{ url: "rediss://x", tls: false }, /contradicts rediss/],
    [{ sentinels: [{ host: "x" }] }, /go together/],
    [{ sentinelName: "x" }, /go together/],
    [{ sentinels: [], sentinelName: "x" }, /at least one/],
    [{ sentinelRole: "replica" }, /needs sentinels/],
    [{ reconnect: { minMs: 100, maxMs: 50 } }, /must not be shorter than minMs/],
    [{ tls: { cert: "x" } }, /cert and key need each other/],
    [{ connectionName: "two words" }, /spaces/],
    [{ timeoutMs: 0 }, /timeoutMs: must be at least 1 ms$/],
  ];
  for (const [options, message] of cases) t.match(problems(options).join("\n"), message);
  t.match(problems({ client: {} }).join(), /ioredis client/);
  t.match(problems({}, RedisClusterManager as never).join(), /cluster: is missing/);
  t.match(problems({ cluster: [{ host: "x" }], db: 1 }, RedisClusterManager as never).join(), /db: is not an option/);
  t.end();
});

t.test("a URL is looked at before there is a client, in the words that the client has for it", (t) => {
  t.equal(redisUrlProblem("rediss://u:p%25w@h:6379/1"), undefined);
  for (const url of ["http://x", "redis://x/notanumber", "redis://x:99999", "redis://:hush%zz@x"]) {
    const problem = redisUrlProblem(url);
    t.strictSame(problems({ url }), [`url: ${problem}`]);
    t.notMatch(problem, /hush/);
  }
  t.end();
});

t.test("a definition knows its problems without connecting", (t) => {
  const cache = redisPool("cache", { url: "redis://localhost", criticality: "optional", tags: ["cache"] });
  t.ok(isDefinition(cache));
  t.match(specOf(cache), {
    name: "cache",
    settings: { criticality: "optional", readiness: "startup" },
    managed: { driver: "redis", problems: [] },
  });
  const wrong = redisPool("wrong", { url: "nonsense" });
  t.equal(specOf(wrong).managed?.problems.length, 1);
  t.equal(specOf(redisCluster("c", { cluster: [{ host: "x" }] })).managed?.problems.length, 0);
  t.end();
});

t.test("secrets show nowhere", needsRedis, async (t) => {
  const server = await launch(t, { password: "hunter2" });
  const manager = await manage(t, { url: server.url });
  t.equal(await manager.client.ping(), "PONG");
  const shown = inspect([manager, manager.client], { depth: 10, showHidden: true }) + JSON.stringify(manager.stats());
  t.notMatch(shown, /hunter2/);
  const wrong = new RedisPoolManager({ url: server.url.replace("hunter2", "hunter3") });
  const error: unknown = await wrong.start().catch((refused: unknown) => refused);
  t.match(error, { code: "REDIS_CONNECT_FAILED", retryable: false });
  t.notMatch(inspect(error, { depth: 10 }), /hunter3/);
});

t.test("url, host and port, and a unix socket lead to the server and the database", needsRedis, async (t) => {
  const socket = `/tmp/steward-redis-${process.pid}.sock`;
  const server = await launch(t, { settings: { unixsocket: socket } });
  const ways: RedisPoolOptions[] = [
    { url: `redis://127.0.0.1:${server.port}/3` },
    { host: "127.0.0.1", port: server.port, db: 3 },
    { path: socket, db: 3 },
  ];
  for (const way of ways) {
    const { client } = await manage(t, { ...way, connectionName: "me", keyPrefix: "p:" });
    await client.incr("n");
    t.match(await client.client("INFO"), /name=me .* db=3 /);
  }
  const { client } = await manage(t, { url: server.url, db: 3 });
  t.equal(await client.get("p:n"), "3");
  const beyond = new RedisPoolManager({ url: server.url, db: 99 });
  await t.rejects(beyond.start(), { code: "REDIS_CONNECT_FAILED", message: /DB index is out of range/ });
});

t.test("an ACL user logs in, with a password that is fetched for every connect", needsRedis, async (t) => {
  const server = await launch(t);
  const admin = await manage(t, { url: server.url });
  await admin.client.call("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all");
  let asked = 0;
  const password = async (): Promise<string> => `secret${asked++ > 1 ? "?" : ""}`;
  const manager = await manage(t, { host: server.host, port: server.port, username: "app", password });
  t.equal(await manager.client.call("ACL", "WHOAMI"), "app");
  await manager.client.use(async (connection) => t.equal(await connection.call("ACL", "WHOAMI"), "app"));
  t.equal(asked, 2);
  await t.rejects(manager.renew(), { code: "REDIS_CONNECT_FAILED" });
});

async function tlsServer(
  port: number,
  requestCert: boolean,
): Promise<{ server: Server; port: number; clients: TLSSocket[] }> {
  const clients: TLSSocket[] = [];
  const options = { cert: certificate, key: privateKey, ca: certificate, requestCert, rejectUnauthorized: requestCert };
  const server = createServer(options, (socket) => {
    const upstream = connect(port, "127.0.0.1");
    clients.push(socket.on("error", () => upstream.destroy()));
    socket.pipe(upstream.on("error", () => socket.destroy())).pipe(socket);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { server, clients, port: (server.address() as AddressInfo).port }; // a TCP server has an address with a port
}

t.test(
  "TLS verifies the server, and shows a certificate of its own where the server wants one",
  needsRedis,
  async (t) => {
    const redis = await launch(t);
    const plain = await tlsServer(redis.port, false);
    const mutual = await tlsServer(redis.port, true);
    t.teardown(() => [plain, mutual].forEach(({ server }) => server.close()));
    const good: RedisPoolOptions[] = [
      { host: "127.0.0.1", port: plain.port, tls: { ca: certificate } },
      { url: `rediss://127.0.0.1:${plain.port}`, tls: { ca: Buffer.from(certificate), servername: "localhost" } },
      { host: "127.0.0.1", port: plain.port, tls: { rejectUnauthorized: false } },
      { host: "127.0.0.1", port: mutual.port, tls: { ca: certificate, cert: certificate, key: privateKey } },
    ];
    for (const options of good) {
      const manager = await manage(t, options);
      t.equal(await manager.client.ping(), "PONG");
      await manager.stop();
    }
    const bad: [RedisPoolOptions, RegExp][] = [
      [{ url: `rediss://127.0.0.1:${plain.port}` }, /self.signed/],
      [{ host: "127.0.0.1", port: plain.port, tls: { ca: certificate, servername: "example.com" } }, /altnames/],
      [
        { host: "127.0.0.1", port: mutual.port, tls: { ca: certificate } },
        /certificate required|closed|EPIPE|ECONNRESET|alert/i,
      ],
      [
        { host: "127.0.0.1", port: redis.port, tls: true, connectTimeoutMs: 300 },
        /no answer|wrong version|closed|ETIMEDOUT/i,
      ],
    ];
    for (const [options, message] of bad)
      await t.rejects(new RedisPoolManager(options).start(), { code: "REDIS_CONNECT_FAILED", message });
  },
);

t.test("keepAliveMs reaches the socket", needsRedis, async (t) => {
  const server = await launch(t);
  const asked = t.capture(Socket.prototype, "setKeepAlive", Socket.prototype.setKeepAlive);
  await manage(t, { url: server.url, keepAliveMs: 1_234 });
  t.same(
    asked().map(({ args }) => args),
    [[true, 1_234]],
  );
});

t.test("the times and bounds that were asked for are the ones that count", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const at = { host: proxy.host, port: proxy.port };
  proxy.blackhole();
  using alarm = new Alarm(2_000);
  await t.rejects(new RedisPoolManager({ ...at, connectTimeoutMs: 100 }).start(), {
    code: "REDIS_CONNECT_FAILED",
    message: /within 100 ms|ETIMEDOUT/,
  });
  t.notOk(alarm.hasRung, "connectTimeoutMs counts the handshake");
  await proxy.heal();
  const manager = await manage(t, {
    ...at,
    timeoutMs: 100,
    silenceMs: 60_000,
    offlineTimeoutMs: 0,
    maxPending: 0,
    reconnect: { minMs: 300, maxMs: 300 },
    keepAliveMs: 0,
  });
  proxy.pauseReplies();
  await t.rejects(manager.client.get("a"), { code: "DEADLINE_EXCEEDED", message: /after 1\d\d ms/ });
  await proxy.heal();
  await proxy.refuse();
  proxy.reset();
  await until(() => manager.stats()["size"] === 0, "it is offline");
  await until(
    () =>
      manager.client.ping().then(
        () => false,
        (error: { code: string }) => error.code === "RESOURCE_UNAVAILABLE",
      ),
    "refused at once",
  );
  await t.rejects(manager.probe(), {
    code: "RESOURCE_UNAVAILABLE",
    message: /ECONNREFUSED|closed|ECONNRESET/,
    retryAfterMs: 300,
  });
  await proxy.heal();
  await until(
    () =>
      manager.client.ping().then(
        () => true,
        () => false,
      ),
    "it is back",
  );
});
