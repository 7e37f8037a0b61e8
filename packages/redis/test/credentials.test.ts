import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { inspect } from "node:util";
import { CHANNELS, type ExposureEvent } from "@steward/core";
import { machineAddress, testCertificates } from "@steward/testing";
import t from "tap";
import { clusterOptions } from "../src/cluster/backend.ts";
import { parseRedisUrl } from "../src/connection/url.ts";
import { RedisClusterManager } from "../src/cluster/index.ts";
import { RedisPoolManager, type RedisPoolOptions } from "../src/index.ts";

const PASSWORD = "S3CR3T-pw";
const { authority, serverCert: cert, serverKey: key } = testCertificates;

type Test = Pick<typeof t, "teardown" | "notMatch">;

/** A server that notes whether it was given the password, and hangs up. */
async function thief(t: Test, tls: boolean): Promise<{ port: number; got: string[] }> {
  const got: string[] = [];
  const listen = (socket: Socket): void => {
    socket.on("error", () => {});
    socket.once("data", (data) => {
      if (data.includes(PASSWORD)) got.push(tls ? "tls" : "plain");
      socket.destroy();
    });
  };
  const server = tls ? createTlsServer({ cert, key }, listen) : createServer(listen);
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, () => resolve()));
  t.teardown(() => void server.close());
  return { port: (server.address() as AddressInfo).port, got };
}

const MACHINE = machineAddress() ?? "127.0.0.1";
const CLEARLY = "the password to HOST goes in plain text; set tls: true (rediss:// in a URL)";
const BLINDLY =
  "the password to HOST goes to a server whose certificate is not verified; set tls: { ca }, with the authority of the server's certificate";
const FAILED = /cannot connect/;

/** What becomes of a password, by the transport. The README has it as a table. */
const TABLE: readonly (readonly [
  server: "plain" | "tls",
  host: string,
  scheme: "redis" | "rediss",
  options: RedisPoolOptions,
  got: readonly string[],
  message: RegExp,
  announced?: string,
])[] = [
  ["plain", "127.0.0.1", "redis", {}, ["plain"], FAILED],
  ["plain", "localhost", "redis", {}, ["plain"], FAILED],
  ["plain", MACHINE, "redis", {}, ["plain"], FAILED, CLEARLY],
  ["tls", "127.0.0.1", "rediss", {}, [], /certificate/],
  ["tls", MACHINE, "rediss", {}, [], /certificate/],
  ["tls", MACHINE, "redis", { tls: true }, [], /certificate/],
  ["tls", "127.0.0.1", "rediss", { tls: { ca: authority } }, ["tls"], FAILED],
  ["tls", "localhost", "rediss", { tls: { ca: authority } }, ["tls"], FAILED],
  ["tls", MACHINE, "rediss", { tls: { ca: authority } }, [], /altnames|IP/],
  ["tls", MACHINE, "rediss", { tls: { ca: authority, servername: "localhost" } }, ["tls"], FAILED],
  ["tls", "127.0.0.1", "rediss", { tls: { rejectUnauthorized: false } }, ["tls"], FAILED],
  ["tls", MACHINE, "rediss", { tls: { rejectUnauthorized: false } }, ["tls"], FAILED, BLINDLY],
];

for (const [server, host, scheme, options, got, message, announced] of TABLE)
  t.test(`a password for ${scheme}://${host} (${server}) ${Object.keys(options.tls ?? {}).join()}`, async (t) => {
    const place = await thief(t, server === "tls");
    const heard: string[] = [];
    const hear = (event: unknown): void => void heard.push((event as ExposureEvent).message);
    subscribe(CHANNELS.exposure, hear);
    t.teardown(() => unsubscribe(CHANNELS.exposure, hear));
    const url = `${scheme}://app:${PASSWORD}@${host}:${place.port}/1`;
    const manager = new RedisPoolManager({ url, connectTimeoutMs: 1_000, ...options }, { name: "cache" });
    const start = (): Promise<unknown> => manager.start().catch((error: unknown) => error);
    const error = await start();
    t.match((error as Error).message, message);
    t.same([...new Set(place.got)], got);
    await start();
    const text = announced?.replace("HOST", `${host}:${place.port}`);
    t.same(heard, text === undefined ? [] : [`cache: ${text}`], "once, at the first start");
    t.same(manager.stats()["exposed"], text === undefined ? undefined : [text]);
    t.notMatch(inspect([error, manager, manager.stats()], { depth: 20, showHidden: true }), PASSWORD);
    await manager.stop();
  });

t.test(
  "passwords of clusters and sentinels are announced by their nodes; a client of one's own is its owner's affair",
  async (t) => {
    const node = { host: MACHINE, port: 1 };
    const password = (): string => PASSWORD;
    for (const manager of [
      new RedisClusterManager({ cluster: [node], password, connectTimeoutMs: 100 }),
      new RedisPoolManager({ sentinels: [node], sentinelName: "m", sentinelPassword: password, connectTimeoutMs: 100 }),
    ]) {
      await manager.start().catch(() => {});
      t.match(manager.stats()["exposed"], [`the password to ${MACHINE}:1 goes in plain text`]);
      await manager.stop();
    }
    t.end();
  },
);

const COMMANDS = /\*\d+\r\n\$\d+\r\n([a-z]+)\r/g;
const HELLO = "%1\r\n$5\r\nproto\r\n:3\r\n";

/** A sentinel that names a server, and is not particular about passwords; noted is what it was sent. */
async function sentinelFor(t: Test, named: () => { host: string; port: number }, tls: boolean) {
  const got: string[] = [];
  const listen = (socket: Socket): void => {
    socket.on("error", () => {});
    socket.on("data", (data) => {
      const text = String(data).toLowerCase();
      if (text.includes(PASSWORD.toLowerCase())) got.push(tls ? "tls" : "plain");
      for (const [, command] of text.matchAll(COMMANDS)) {
        const { host, port } = named();
        const masters = `*2\r\n$${host.length}\r\n${host}\r\n$${String(port).length}\r\n${port}\r\n`;
        if (command === "hello") socket.write(HELLO);
        else if (command !== "sentinel") socket.write("+OK\r\n");
        else socket.write(text.includes("get-master-addr-by-name") ? masters : "*0\r\n");
      }
    });
  };
  const server = tls ? createTlsServer({ cert, key }, listen) : createServer(listen);
  await new Promise<void>((resolve) => server.listen(0, () => resolve()));
  t.teardown(() => void server.close());
  return { port: (server.address() as AddressInfo).port, got };
}

t.test("the password of a server that a sentinel names is announced by where that leads", async (t) => {
  const place = await thief(t, false);
  const sentinel = await sentinelFor(t, () => ({ host: MACHINE, port: place.port }), false);
  const manager = new RedisPoolManager({
    sentinels: [{ host: "127.0.0.1", port: sentinel.port }],
    sentinelName: "m",
    password: PASSWORD,
    connectTimeoutMs: 1_000,
  });
  await manager.start().catch(() => {});
  t.same([...new Set(place.got)], ["plain"]);
  t.same(sentinel.got, [], "the sentinel is not given it");
  t.match(manager.stats()["exposed"], [`the password to ${MACHINE}:${place.port} goes in plain text`]);
  await manager.stop();
});

t.test("tls is for sentinels and for the server that they name", async (t) => {
  const place = await thief(t, true);
  const sentinel = await sentinelFor(t, () => ({ host: "127.0.0.1", port: place.port }), true);
  const sentinels = [{ host: "127.0.0.1", port: sentinel.port }];
  const passwords = { password: PASSWORD, sentinelPassword: PASSWORD };
  const options = { sentinels, sentinelName: "m", connectTimeoutMs: 1_000, ...passwords };
  for (const [tls, got] of [
    [true, []],
    [{ ca: authority }, ["tls"]],
  ] as const) {
    const manager = new RedisPoolManager({ ...options, tls });
    await manager.start().catch(() => {});
    t.same([...new Set(sentinel.got)], got);
    t.same([...new Set(place.got)], got);
    await manager.stop();
  }
});

t.test("the password for a node that another node names is announced by where that leads", async (t) => {
  const place = await thief(t, false);
  const slots = `*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$${MACHINE.length}\r\n${MACHINE}\r\n:${place.port}\r\n`;
  const seed = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (data) => {
      for (const [, command] of String(data).toLowerCase().matchAll(COMMANDS))
        socket.write(command === "cluster" ? slots : command === "hello" ? HELLO : "+OK\r\n");
    });
  });
  await new Promise<void>((resolve) => seed.listen(0, "127.0.0.1", () => resolve()));
  t.teardown(() => void seed.close());
  const manager = new RedisClusterManager({
    cluster: [{ host: "127.0.0.1", port: (seed.address() as AddressInfo).port }],
    password: PASSWORD,
    connectTimeoutMs: 1_000,
  });
  await manager.start().catch(() => {});
  t.match(manager.stats()["exposed"], [`the password to ${MACHINE}:${place.port} goes in plain text`]);
  await manager.stop();
});

t.test("a URL that is wrong is refused in words without any part of it", (t) => {
  const rest = ["h:notaport", "h:99999", "h/x", "h?db=1", "[::1", "", "h#x"].map((host) => `${PASSWORD}@${host}`);
  for (const url of [...rest, `${PASSWORD}%zz@h`, `${PASSWORD}/x@h`].map((one) => `redis://u:${one}`))
    try {
      t.notOk(new RedisPoolManager({ url }));
      t.fail(`accepted: ${url}`);
    } catch (error) {
      t.match(error, { code: "OPTIONS_INVALID" }, url);
      t.notMatch(inspect(error, { depth: 20, showHidden: true }), PASSWORD);
    }
  t.same(parseRedisUrl("rediss://a%40b:p%3A%2F@[::1]:7/3"), {
    tls: true,
    host: "::1",
    port: 7,
    username: "a@b",
    password: "p:/",
    db: 3,
  });
  t.match(parseRedisUrl("redis://:a:b@c@h"), { host: "h", username: undefined, password: "a:b@c", port: undefined });
  t.match(parseRedisUrl("redis://h/"), { host: "h", db: undefined, password: undefined });
  t.end();
});

t.test("nodes of a cluster are not reconnected to in step", (t) => {
  const { clusterRetryStrategy: pause } = clusterOptions(
    { reconnect: { minMs: 100, maxMs: 1_000 }, timeoutMs: 1_000, resend: [] } as never,
    {},
  );
  const pauses = Array.from({ length: 50 }, () => pause?.(2) ?? 0);
  t.ok(
    pauses.every((ms) => ms >= 100 && ms <= 200),
    "half of it at least",
  );
  t.ok(new Set(pauses).size > 40, "each of its own");
  t.end();
});

t.test("options of a loan that are unknown or of a wrong type are refused before anything is lent", async (t) => {
  const manager = new RedisPoolManager({ host: "127.0.0.1", port: 1 });
  for (const [options, message] of [
    [{ timeout: 5 }, /use\.timeout: .*did you mean "timeoutMs"/],
    [{ timeoutMs: "5" }, /use\.timeoutMs: expected number/],
    [{ timeoutMs: Number.NaN }, /use\.timeoutMs/],
    [{ signal: {} }, /use\.signal: must be an AbortSignal/],
  ] as const)
    await t.rejects(
      manager.client.use(() => t.fail("it ran"), options as never),
      { code: "OPTIONS_INVALID", message },
    );
});
