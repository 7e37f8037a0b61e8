import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import t from "tap";
import { Redis, type RedisOptions } from "ioredis";
import { Alarm, compareMembers, documentedMembers, failure, FakeClock, operationsOf, until } from "@steward/testing";
import { redisPubSub, RedisPoolManager, redisRunner, RedisClient } from "../../src/index.ts";
import { CLUSTER_READS, READS } from "../../src/client/commands.ts";
import { currentContext, runWithContext, systemClock } from "@steward/core";
import { launch, manage, needsRedis, proxyTo } from "../setup.ts";

t.test(
  "is a real ioredis client: commands, callbacks, buffers, pipelines, transactions, scripts, scans",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const { client } = await manage(t, { url: server.url, keyPrefix: "app:" });
    t.ok(client instanceof Redis && client instanceof RedisClient);
    t.equal(client.status, "ready");
    t.equal(await client.set("a", 1), "OK");
    t.equal(await client.call("GET", "a"), "1");
    t.same(await client.getBuffer("a"), Buffer.from("1"));
    t.equal(await new Promise((resolve) => client.get("a", (_error, value) => resolve(value))), "1");
    t.same(
      await client
        .pipeline()
        .incr("a")
        .hget("a", "x")
        .get("a")
        .exec()
        .then((all) => all?.map(([error, value]) => error?.message.slice(0, 9) ?? value)),
      [2, "WRONGTYPE", "2"],
    );
    t.same(await client.multi().set("b", "x").get("b").exec(), [
      [null, "OK"],
      [null, "x"],
    ]);
    const big = Buffer.alloc(1 << 20, "x");
    t.same(await client.pipeline().set("big", big).strlen("big").get("a").exec(), [
      [null, "OK"],
      [null, 1 << 20],
      [null, "2"],
    ]);
    const found: string[] = [];
    for await (const keys of client.scanStream({ match: "app:*" })) found.push(...keys);
    t.same(found.sort(), ["app:a", "app:b", "app:big"]);
    await t.rejects(client.hget("a", "x"), { name: "ReplyError", message: /WRONGTYPE/ });
  },
);

t.test("events of calls name the command, without its arguments", needsRedis, async (t) => {
  const { client } = await manage(t, { url: (await launch(t)).url });
  const operations = await operationsOf(async () => {
    await client.set("a", "s3cret");
    await client.call("hgetall", "b");
    await client.pipeline().get("a").del("a").exec();
  });
  t.same(operations, ["SET", "HGETALL", "pipeline of 2"]);
});

t.test(
  "a server of another environment refuses the start, and keys have the environment in front",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const options = { url: server.url, keyPrefix: "app:" };
    const { client: observer } = await manage(t, { url: server.url });
    const production = await manage(t, { ...options, environment: "production", connectionName: "web" });
    await production.client.set("a", 1);
    t.same((await observer.keys("*")).sort(), ["app:production:a", "app:steward:environment"]);
    t.equal(await observer.get("app:steward:environment"), "production");
    t.match(await observer.client("LIST"), "name=web/production");
    await manage(t, { ...options, environment: "production" });
    const refused = {
      code: "ENVIRONMENT_MISMATCH",
      message:
        /the server is marked for environment "production", and this is "test".*delete the key app:steward:environ/s,
    };
    t.match(await failure(manage(t, { ...options, environment: "test" })), refused);
    const mine = new Redis(server.url);
    t.teardown(async () => mine.disconnect());
    t.match(await failure(manage(t, { client: mine, keyPrefix: "app:", environment: "test" })), refused);
    await manage(t, { url: server.url, keyPrefix: "other:", environment: "test" });

    const reader = { ...options, environment: "test", username: "reader", password: "reads-only", keyPrefix: "third:" };
    await observer.call("ACL", "SETUSER", "reader", "on", ">reads-only", "~*", "+@all", "-set");
    t.match(await failure(manage(t, reader)), {
      code: "ENVIRONMENT_MISMATCH",
      message: /cannot be marked for an environment: .*NOPERM.*set the key third:steward:environment/s,
    });
    const claims = Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? "test" : "production"));
    const ends = await Promise.allSettled(
      claims.map((environment) => manage(t, { url: server.url, keyPrefix: "third:", environment })),
    );
    const winners = claims.filter((_, i) => ends[i]?.status === "fulfilled");
    t.equal(new Set(winners).size, 1, "of those that mark it at the same time one wins");
    t.equal(winners.length, 6);
    for (const end of ends) if (end.status === "rejected") t.equal(end.reason.code, "ENVIRONMENT_MISMATCH");
    if (winners[0] === "test") await manage(t, reader);
  },
);

t.test("a script is sent once per connection and again when the server has forgotten it", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url });
  const { client } = manager;
  client.defineCommand("double", { numberOfKeys: 1, lua: "return redis.call('GET', KEYS[1]) * 2" });
  const double = (client as RedisClient & { double(key: string): Promise<number> }).double.bind(client); // defineCommand adds it at run time
  const runner = redisRunner(client);
  await client.set("n", 21);
  for (const forget of [
    () => Promise.resolve(),
    () => client.script("FLUSH"),
    () => server.restart().then(() => client.set("n", 21)),
  ]) {
    await forget();
    t.equal(await double("n"), 42);
    t.equal(await double("n"), 42);
    t.equal(await runner.script("return redis.call('GET', KEYS[1]) * ARGV[1]", ["n"], [2]), 42);
  }
  t.equal(await runner.command("GET", "n"), "21");
  t.equal(await runner.command("SET", "bytes", new Uint8Array([104, 105])), "OK");
  t.equal(await client.get("bytes"), "hi");
  await t.rejects(runner.script("return redis.error_reply('no')", [], []), { message: /no/ });
  t.same(await runner.script("return ARGV", [], ["", "\u00e9\u{1f600}", 1.5]), ["", "\u00e9\u{1f600}", "1.5"]);
});

t.test("the port gives bytes as they were stored, from commands, scripts and batches", needsRedis, async (t) => {
  const server = await launch(t);
  const { client } = await manage(t, { url: server.url, keyPrefix: "app:" });
  const runner = redisRunner(client);
  for (const how of ["sent", "known"]) t.equal(await runner.script("return KEYS[1]", ["h"], []), "app:h", how);
  const bytes = Uint8Array.of(0xff, 0xfe, 0x00, 0x80);
  await runner.command("HSET", "h", "v", bytes);
  t.same(await runner.binary.command("HGET", "h", "v"), Buffer.from(bytes));
  t.same(await runner.binary.command("HMGET", "h", "v", "none"), [Buffer.from(bytes), null]);
  const script = "return { ARGV[1], redis.call('HGET', KEYS[1], 'v') }";
  for (let i = 0; i < 2; i++)
    t.same(await runner.binary.script(script, ["h"], [bytes]), [Buffer.from(bytes), Buffer.from(bytes)]);
  t.same(await runner.binary.batch([["HGET", "h", "v"]]), [{ status: "fulfilled", value: Buffer.from(bytes) }]);
  t.equal(await client.hexists("h", "v"), 1, "keys have their prefix");
});

t.test("a batch is one write, and tells of each command how it ended", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const manager = await manage(t, { host: proxy.host, port: proxy.port });
  const runner = redisRunner(manager.client);
  const started = (): number => Number(manager.stats()["started"]);
  const before = started();
  const replies = await runner.batch([
    ["SET", "a", 1],
    ["LPUSH", "a", "x"],
    ["INCRBY", "a", 41],
  ]);
  t.match(replies, [
    { status: "fulfilled", value: "OK" },
    { status: "rejected", reason: { name: "ReplyError", message: /WRONGTYPE/ } },
    { status: "fulfilled", value: 42 },
  ]);
  t.equal(started() - before, 1, "it passes the guard as one call");
  t.same(await runner.batch([]), []);
  const refused = { status: "rejected", reason: { code: "REDIS_COMMAND_REFUSED" } };
  t.match(
    await runner.batch([
      ["GET", "a"],
      ["BLPOP", "list", 0],
    ]),
    [refused, refused],
  );
  await t.rejects(runner.batch([["GET", Number.NaN], ["GET", "a"], []] as unknown as [["GET"]]), {
    code: "OPTIONS_INVALID",
    message: /commands\.0: must be a command[^]*commands\.2: /,
  });
  await t.rejects(runner.batch("GET a" as unknown as []), { code: "OPTIONS_INVALID" });
  await manager.stop();
  t.match(await runner.batch([["GET", "a"]]), [{ status: "rejected", reason: { code: "RESOURCE_UNAVAILABLE" } }]);
});

t.test("what belongs to one connection is refused on the shared one, and works on one's own", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url });
  const { client } = manager;
  const refused = { code: "REDIS_COMMAND_REFUSED" };
  for (const call of [
    client.select(1),
    client.watch("a"),
    client.multi({ pipeline: false }),
    client.client("REPLY", "OFF"),
    client.call("SELECT", "1"),
    client.wait(0, 0),
  ])
    await t.rejects(call, refused);
  for (const pipeline of [
    client.pipeline().watch("a").get("a"),
    client.pipeline().blpop("a", 0),
    client.pipeline().subscribe("a"),
  ])
    t.match(await pipeline.exec(), [[refused]]);
  const open = client.pipeline().call("MULTI").set("a", 1).exec();
  t.match(await open, [[{ ...refused, message: /MULTI cannot run on .* without its EXEC/ }], [refused]]);
  t.equal(await client.get("a"), null, "what others send is in no transaction");
  t.throws(() => client.duplicate({ db: 1 }), { ...refused, message: /another db is not .*; define another resource/ });
  await t.rejects(client.monitor(), refused);
  await t.rejects(client.call("quit"), { ...refused, message: /QUIT .*its manager ends it: manager\.stop\(\)$/ });
  await t.rejects(client.quit(), { code: "LIFECYCLE_CONFLICT" });
  await client.connect();
  t.match(await client.client("LIST"), /addr=/);
  const result = await client.use(async (connection) => {
    await connection.select(1);
    await connection.set("a", 5);
    await connection.watch("a");
    t.same(await connection.pipeline().get("a").watch("b").exec(), [
      [null, "5"],
      [null, "OK"],
    ]);
    t.same(await connection.pipeline().blpop("nothing", 0.01).exec(), [[null, null]]);
    await t.rejects(connection.subscribe("x"), refused);
    await t.rejects(connection.quit(), { ...refused, message: /given back when the function .* has ended$/ });
    await connection.multi({ pipeline: false });
    t.equal(await connection.incr("a"), "QUEUED");
    return connection.exec();
  });
  t.same(
    result,
    [6].map((n) => [null, n]),
  );
  t.equal(await client.get("a"), null, "the shared connection is still in database 0");
  t.equal(await client.use((connection) => connection.get("a")), null, "so is the next one that is lent");
  await client.use((connection) => connection.pipeline([["multi"], ["set", "a", "left"]]).exec());
  t.equal(await client.use((connection) => connection.get("a")), null, "none with an open transaction is lent again");
});

t.test("commands, pipelines and transactions of one tick run in their order", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url });
  const inOrder = async (client: Redis): Promise<string[]> => {
    await client.del("order");
    const third = client.pipeline();
    await Promise.all([
      client.rpush("order", 1),
      client.pipeline().rpush("order", 2).exec(),
      third.rpush("order", 3).exec(),
      client.rpush("order", 4),
      client.multi().rpush("order", 5).exec(),
      client.rpush("order", 6),
    ]);
    return client.lrange("order", 0, -1);
  };
  t.same(await inOrder(manager.client), ["1", "2", "3", "4", "5", "6"]);
  t.same(await manager.client.use(inOrder), ["1", "2", "3", "4", "5", "6"], "on one that is lent, too");
});

t.test("a transaction that is refused has an error of its own, which can be logged", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url });
  await manager.stop();
  const error = await failure(manager.client.multi().set("a", 1).exec());
  t.match(error, { code: "RESOURCE_UNAVAILABLE", previousErrors: [{ code: "RESOURCE_UNAVAILABLE" }] });
  t.match(JSON.parse(JSON.stringify(error)), { code: "RESOURCE_UNAVAILABLE" });
});

t.test(
  "a connection of one's own is taken back: at the end, with a transaction left open, and when time is over",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const clock = new FakeClock();
    const options = { url: server.url, maxConnections: 1, acquireTimeoutMs: 1_000, maxPending: 1 };
    const manager = await manage(t, options, { clock });
    const { client } = manager;
    const kept = await client.use((connection) => connection);
    await t.rejects(kept.get("a"), { code: "REDIS_LEASE_ENDED" });
    await client.use((connection) => connection.watch("a"));
    t.match(manager.stats()["dedicated"], { size: 0 }, "a watching one is not lent again");
    await client.use(async (connection) => {
      t.match(manager.stats()["dedicated"], { inUse: 1, size: 1, idle: 0, max: 1 });
      const waiting = client.use((other) => other.ping());
      await t.rejects(
        client.use((other) => other.ping()),
        { code: "OVERLOADED" },
      );
      const late = t.rejects(waiting, { code: "DEADLINE_EXCEEDED", message: /\(maxConnections\).*in use 1 of 1/ });
      await clock.advance(1_008);
      await late;
      await connection.ping();
    });
    const never = failure(client.use((connection) => connection.blpop("none", 0), { timeoutMs: 50 }));
    await clock.advance(58);
    t.match(await never, { code: "DEADLINE_EXCEEDED" });
    const abort = new AbortController();
    const aborted = client.use((connection) => connection.blpop("none", 0), { signal: abort.signal });
    await until(() => (manager.stats()["dedicated"] as { size: number }).size === 1, "it has one");
    abort.abort();
    await t.rejects(aborted, { code: "CALL_ABORTED" });
    t.equal(await client.use((connection) => connection.ping()), "PONG", "the place came back");
  },
);

t.test(
  "a blocking command does not hold up others, and has its own time besides the deadline",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const clock = new FakeClock();
    const manager = await manage(t, { url: server.url, timeoutMs: 200 }, { clock });
    const { client } = manager;
    const waiting = [client.blpop("q", 0), client.call("BRPOP", "r", 0), client.xread("BLOCK", 0, "STREAMS", "s", "$")];
    const none = client.blpop("none", 0.4);
    await until(() => (manager.stats()["dedicated"] as { size: number }).size === 4, "all have a connection");
    await clock.advance(400);
    t.equal(await none, null, "blocked for longer than the deadline of others");
    t.equal(await client.ping(), "PONG");
    t.equal(await client.xread("STREAMS", "none", "0"), null, "without BLOCK it takes the shared connection");
    t.match(manager.stats()["dedicated"], { inUse: 3, idle: 1 });
    await Promise.all([client.rpush("q", "1"), client.rpush("r", "2"), client.xadd("s", "*", "k", "v")]);
    t.match(await Promise.all(waiting), [["q", "1"], ["r", "2"], [["s", []]]]);
  },
);

t.test("draining wakes what blocks for something to come, and loses nothing", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url });
  const waiting = manager.client.blpop("q", 0);
  await until(() => (manager.stats()["dedicated"] as { inUse: number; size: number }).size === 1, "it blocks");
  await new Promise((resolve) => setImmediate(resolve));
  using alarm = new Alarm(3_000);
  await manager.drain();
  t.equal(await waiting, null);
  t.notOk(alarm.hasRung);
});

t.test("a dedicated connection that died in silence is replaced before it is lent", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const manager = await manage(t, { host: proxy.host, port: proxy.port, acquireTimeoutMs: 4_000 }); // half of it for the silence
  await manager.client.use((connection) => connection.ping());
  proxy.halfOpen();
  await new Promise((resolve) => setTimeout(resolve, 1_050)); // younger ones are trusted
  t.equal(await manager.client.use((connection) => connection.ping()), "PONG");
  const popped = manager.client.blpop("q", 0);
  await until(() => (manager.stats()["dedicated"] as { inUse: number }).inUse === 1, "it blocks");
  await new Promise((resolve) => setTimeout(resolve, 50));
  proxy.reset();
  await t.rejects(popped, { code: "OUTCOME_UNKNOWN" });
});

t.test("idle dedicated connections are closed after a while", needsRedis, async (t) => {
  const server = await launch(t);
  const clock = new FakeClock();
  const manager = await manage(t, { url: server.url, idleConnectionTimeoutMs: 50 }, { clock });
  await Promise.all([1, 2, 3].map(() => manager.client.use((connection) => connection.ping())));
  t.match(manager.stats()["dedicated"], { size: 3, idle: 3 });
  await clock.advance(100);
  await until(() => (manager.stats()["dedicated"] as { size: number }).size === 0, "all closed");
});

t.test("a subscription that was given up before there was a connection for it holds nothing", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const manager = await manage(t, { host: proxy.host, port: proxy.port, breaker: false });
  proxy.pauseReplies();
  const soon = { deadline: systemClock.now() + 100 };
  await t.rejects(
    runWithContext(soon, () => manager.client.subscribe("a")),
    { code: "DEADLINE_EXCEEDED" },
  );
  proxy.heal();
  await until(() => manager.stats()["inUse"] === 0);
  t.equal(await manager.client.subscribe("b"), 1, "only what is wanted is subscribed");
});

t.test("subscriptions live on over a lost and a silent connection, and tell of the gap", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const manager = await manage(t, { host: proxy.host, port: proxy.port, heartbeatMs: 100, silenceMs: 200 });
  const direct = await manage(t, { host: server.host, port: server.port });
  const { client } = manager;
  const heard: string[] = [];
  client.on("message", (channel, message) => heard.push(`${channel}=${message}`));
  client.on("pmessageBuffer", (pattern, channel, message) => heard.push(`${pattern}:${channel}=${message}`));
  client.on("smessage", (channel: string, message: string) => heard.push(`shard ${channel}=${message}`));
  t.equal(await client.subscribe("a", "b"), 2);
  await client.psubscribe("p*");
  await client.ssubscribe("s");
  t.equal(await client.unsubscribe("b"), 2, "one channel and the pattern are left");
  for (const fault of [() => {}, () => proxy.reset(), () => proxy.halfOpen()]) {
    heard.length = 0;
    const gap = new Promise((resolve) => client.once("gap", resolve));
    fault();
    if (fault.toString() !== (() => {}).toString()) await gap;
    await Promise.all([
      direct.client.publish("a", "1"),
      direct.client.publish("b", "2"),
      direct.client.publish("px", "3"),
      direct.client.spublish("s", "4"),
    ]);
    await until(() => heard.length >= 3, "all heard");
    t.same(heard.sort(), ["a=1", "p*:px=3", "shard s=4"]);
  }
  t.equal(manager.stats()["subscriptions"], 3);
  await client.unsubscribe();
  await client.punsubscribe("p*");
  await client.sunsubscribe("s");
  await until(
    () => manager.stats()["subscriberConnections"] === 0,
    "the connection is gone with the last subscription",
  );
});

t.test(
  "what arrives on a topic is nothing that the request does which happened to listen first",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const { client } = await manage(t, { url: server.url });
    const bus = redisPubSub(client);
    const heard: unknown[] = [];
    const deadline = systemClock.now() + 60_000;
    await runWithContext({ requestId: "first", actor: "alice", deadline }, () =>
      bus.subscribe("contexts", () => void heard.push(currentContext())),
    );
    await bus.publish("contexts", "");
    await until(() => heard.length === 1, "it is heard");
    t.same(heard, [undefined]);
  },
);

t.test(
  "the port: listeners share a subscription, one that throws does not hurt others, and a gap is told",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const proxy = await proxyTo(t, server);
    const manager = await manage(t, { host: proxy.host, port: proxy.port });
    const bus = redisPubSub(manager.client);
    t.equal(redisPubSub(manager.client), bus);
    const heard: string[] = [];
    let gaps = 0;
    const forget = bus.onGap?.(() => gaps++);
    const listener = (message: string): void => void heard.push(message);
    const leave = await Promise.all([bus.subscribe("t", listener), bus.subscribe("t", listener)]);
    await bus.publish("t", "1");
    await until(() => heard.length === 2, "both heard");
    await leave[0]?.();
    await leave[0]?.();
    proxy.reset();
    await until(() => gaps === 1, "the gap was told");
    forget?.();
    await bus.publish("t", "2");
    await until(() => heard.length === 3, "the other still listens");
    await leave[1]?.();
    t.equal(manager.stats()["subscriptions"], 0);
    await manager.stop();
    await manager.start();
    await bus.subscribe("t", listener);
    await bus.publish("t", "3");
    await until(() => heard.length === 4, "it listens again after a restart");
  },
);

t.test("a command meets the deadline of its request, and ends with its signal", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url });
  await server.pause();
  using alarm = new Alarm(1_500);
  await t.rejects(
    runWithContext({ deadline: systemClock.now() + 50 }, () => manager.client.get("a")),
    { code: "DEADLINE_EXCEEDED" },
  );
  t.notOk(alarm.hasRung);
  const signal = AbortSignal.timeout(20);
  await t.rejects(
    runWithContext({ signal }, () =>
      manager.client
        .pipeline()
        .get("a")
        .exec()
        .then((all) => {
          throw all?.[0]?.[0];
        }),
    ),
    { code: "CALL_ABORTED" },
  );
  await server.resume();
});

t.test(
  "renewing connects anew with the credentials of now, while what is in flight finishes",
  needsRedis,
  async (t) => {
    const server = await launch(t, { password: "first" });
    let password = "first";
    const manager = await manage(t, {
      host: server.host,
      port: server.port,
      username: "default",
      password: () => Promise.resolve(password),
      connectionName: "mine",
    });
    const { client } = manager;
    const before = await client.client("ID");
    await client.subscribe("x");
    await client.config("SET", "requirepass", "second");
    password = "second";
    const calls = Array.from({ length: 100 }, (_, n) => client.rpush("list", n));
    await manager.renew();
    t.same(
      await Promise.all(calls),
      Array.from({ length: 100 }, (_, n) => n + 1),
    );
    t.not(await client.client("ID"), before);
    t.match(await client.client("LIST"), /name=mine/);
    password = "wrong";
    await t.rejects(manager.renew(), { code: "REDIS_CONNECT_FAILED", retryable: false, message: /WRONGPASS|invalid/ });
    t.equal(await client.ping(), "PONG", "the old connection stays");
    password = "second";
  },
);

t.test("a server that became a replica is left for whoever is master now", needsRedis, async (t) => {
  const [server, master] = [await launch(t), await launch(t)];
  const manager = await manage(t, { url: server.url });
  const direct = await manage(t, { url: server.url });
  const id = await manager.client.client("ID");
  await new Promise((resolve) => setTimeout(resolve, 1_050)); // a younger connection is not suspected
  await direct.client.replicaof(master.host, master.port);
  await t.rejects(manager.client.set("a", 1), { message: /READONLY/ });
  await until(async () => (await manager.client.client("ID")) !== id, "it connected anew");
});

t.test("a client of the user's is looked after and never closed", needsRedis, async (t) => {
  const server = await launch(t);
  const mine = new Redis(server.url);
  t.teardown(async () => mine.disconnect());
  const manager = await manage(t, { client: mine });
  const { client } = manager;
  t.equal(await client.set("a", 1), "OK");
  t.same(await client.pipeline().get("a").incr("a").exec(), [
    [null, "1"],
    [null, 2],
  ]);
  const popped = client.blpop("q", 1);
  await client.rpush("q", "job");
  t.same(await popped, ["q", "job"]);
  await client.subscribe("news");
  await manager.probe();
  await manager.stop();
  await t.rejects(client.get("a"), { code: "RESOURCE_UNAVAILABLE" });
  t.equal(await mine.get("a"), "2");
});

t.test("the list of commands that only read agrees with the server's own flags", needsRedis, async (t) => {
  const server = await launch(t);
  const { client } = await manage(t, { url: server.url });
  const commands = (await client.call("COMMAND")) as [string, number, string[]][];
  const reads = new Set(commands.filter(([, , flags]) => flags.includes("readonly")).map(([name]) => name));
  const harmless = new Set(["ping", "echo", "time", "lolwut", "info", "role", "lastsave"]);
  const known = new Set(commands.map(([name]) => name));
  t.same(
    [...READS].filter((name) => known.has(name) && !reads.has(name) && !harmless.has(name)),
    [],
  );
  const [cluster] = (await client.call("COMMAND", "INFO", "cluster")) as [unknown[]];
  const subcommands = cluster[9] as [string, number, string[]][];
  const writes = subcommands.filter(([, , flags]) => flags.includes("admin") || flags.includes("write"));
  const changing = writes.map(([name]) => name.split("|")[1] ?? "").filter((name) => CLUSTER_READS.has(name));
  t.same(
    changing,
    [...changing].filter((name) => name === "replicas"),
    "REPLICAS is for admins, and reads",
  );
});

t.test("commands of one tick keep their order, whatever they carry and whoever sends them", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url });
  const { client } = manager;
  const big = "x".repeat(700_000);
  const expected: unknown[] = [];
  const replies: Promise<unknown>[] = [];
  for (let n = 0; n < 5; n++) {
    replies.push(
      client.rpush("list", "text"),
      client.rpush("list", Buffer.from("bytes")),
      manager.probe(),
      client.pipeline().llen("list").exec(),
      client.rpush("list", big),
    );
    expected.push(3 * n + 1, 3 * n + 2, undefined, [[null, 3 * n + 2]], 3 * n + 3);
  }
  const got = await Promise.all(replies);
  t.same(
    got.filter((_, n) => n % 5 !== 3),
    expected.filter((_, n) => n % 5 !== 3),
  );
  t.equal(await client.llen("list"), 15);
});

t.test("member by member it is an ioredis client, but for what the README lists", needsRedis, async (t) => {
  const server = await launch(t);
  const raw = new Redis(server.url);
  t.teardown(() => raw.disconnect());
  await raw.ping();
  const { client } = await manage(t, { url: server.url });
  const { compared, replaced, different } = compareMembers(raw, client);
  t.ok(compared > 600, `${compared} members`);
  t.same(
    [...replaced, ...different].sort(),
    documentedMembers(readFileSync("README.md", "utf8"), "Differences to ioredis"),
  );
  const { host, port, db } = raw.options;
  t.match(client.options, { host, port, db, password: null }, "its options say where it leads");
});

t.test("a copy has subscriptions and an end of its own, over the connections of the pool", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url, maxConnections: 2 });
  const { client } = manager;
  const copy = client.duplicate({ connectTimeout: 7 });
  t.ok(copy instanceof RedisClient && copy.status === "ready");
  t.equal(copy.options.connectTimeout, 7);
  await copy.set("a", 1);
  t.equal(await client.get("a"), "1");
  const heard: string[] = [];
  for (const [name, of] of Object.entries({ client, copy }))
    of.on("message", (channel, text) => heard.push(`${name}: ${channel} ${text}`));
  await client.subscribe("ours", "news");
  await copy.subscribe("news");
  await client.publish("ours", "1");
  await client.publish("news", "2");
  await until(() => heard.length === 3);
  t.same(heard.sort(), ["client: news 2", "client: ours 1", "copy: news 2"]);
  t.match(manager.stats(), { subscriptions: 3, subscriberConnections: 2, size: 1 });
  t.equal(await copy.client("SETNAME", "worker"), "OK");
  const [got, waits] = [copy.blpop("jobs", 0), client.blpop("jobs", 0)];
  const queued = failure(copy.blpop("jobs", 0));
  const list = async (): Promise<string> => String(await client.client("LIST"));
  await until(async () => (await list()).match(/cmd=blpop/g)?.length === 2, "two wait");
  t.match(await list(), / name=worker [^\n]*cmd=blpop/, "it has a name of its own where it waits");
  t.equal((await list()).match(/name=worker/g)?.length, 1);
  const events: string[] = [];
  for (const event of ["close", "end", "connect", "ready"]) copy.on(event, () => events.push(event));
  t.equal(await copy.quit(), "OK");
  t.same([await got, (await queued).message], [null, "Connection is closed."]);
  t.match(await failure(copy.get("a")), { message: "Connection is closed." });
  await client.rpush("jobs", "resize");
  t.same(await waits, ["jobs", "resize"], "the client itself goes on");
  t.match(manager.stats(), { subscriptions: 2, subscriberConnections: 1, dedicated: { inUse: 0 } });
  await copy.connect();
  t.equal(await copy.get("a"), "1", "and it may begin again");
  await copy.subscribe("news");
  t.same(events, ["close", "end", "connect", "ready"]);
  await manager.stop();
  t.equal(copy.status, "end");
  await manager.start();
  t.equal(await copy.get("a"), "1", "a copy begins again with its manager");
  copy.disconnect();
  t.equal(copy.status, "ready");
});

t.test(
  "the end of a copy loses nothing that its blocking command was given, also after a renewal",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const proxy = await proxyTo(t, server);
    const direct = await manage(t, { url: server.url });
    const manager = await manage(t, { host: proxy.host, port: proxy.port, connectTimeoutMs: 500 });
    const waits = async (): Promise<boolean> => /flags=b /.test(String(await direct.client.client("LIST")));
    for (const end of ["quit", "disconnect"] as const) {
      proxy.heal();
      const copy = manager.client.duplicate();
      const got = copy.blpop("q", 0);
      await until(waits, "it waits");
      await manager.renew();
      proxy.latency(20);
      const pushed = direct.client.rpush("q", end);
      void copy[end]();
      await pushed;
      t.same(await got, ["q", end]);
    }
    proxy.heal();
    const copy = manager.client.duplicate();
    const lost = failure(copy.blpop("q", 0));
    await until(waits, "it waits");
    proxy.dropReplies();
    await direct.client.rpush("q", "job");
    await copy.quit();
    t.match(await lost, { code: "OUTCOME_UNKNOWN", message: /BLPOP was written/ }, "it says where it cannot know");
    t.equal(await direct.client.llen("q"), 0);
  },
);

t.test("a copy that is ended and connected again at once has ended what waited", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const manager = await manage(t, { host: proxy.host, port: proxy.port });
  const copy = manager.client.duplicate();
  proxy.pauseReplies();
  const waiting = failure(copy.blpop("q", 0));
  const ended = copy.quit();
  await copy.connect();
  await ended;
  proxy.heal();
  await until(() => (manager.stats()["dedicated"] as { inUse: number }).inUse === 0, "its place is free");
  t.match(await waiting, { message: "Connection is closed." });
  t.equal(await copy.ping(), "PONG");
});

t.test("subscriptions begin again with the client that has them, and gap says so", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const manager = await manage(t, { host: proxy.host, port: proxy.port });
  const direct = await manage(t, { url: server.url });
  const { client } = manager;
  const copy = client.duplicate() as RedisClient; // every copy is one
  const heard: string[] = [];
  for (const [name, of] of Object.entries({ client, copy })) {
    of.on("message", (channel, text) => heard.push(`${name}: ${channel} ${text}`));
    of.on("pmessage", (_pattern, channel, text) => heard.push(`${name}: ${channel} ${text}`));
    of.on("gap", () => heard.push(`${name}: gap`));
  }
  const bus = redisPubSub(client);
  const leave = await bus.subscribe("bus", (text) => heard.push(`bus ${text}`));
  await bus.subscribe("bus", (text) => heard.push(`bus too ${text}`));
  await client.subscribe("a", "unwanted");
  await copy.subscribe("b");
  await copy.psubscribe("p*");
  const next = async (...expected: string[]): Promise<void> => {
    await until(() => heard.length >= expected.length, expected.join());
    t.same(heard.splice(0).sort(), expected);
  };
  for (const end of ["quit", "disconnect"] as const) {
    void copy[end]();
    await failure(copy.use((connection) => connection.ping())).then(({ message }) =>
      t.equal(message, "Connection is closed."),
    );
    await copy.connect();
    await next("copy: gap");
    await direct.client.publish("b", end);
    await direct.client.publish("px", end);
    await next(`copy: b ${end}`, `copy: px ${end}`);
  }
  await manager.stop();
  t.match(await failure(copy.connect()), { code: "RESOURCE_UNAVAILABLE" }, "it cannot begin alone");
  t.match(await failure(client.unsubscribe("unwanted")), { code: "RESOURCE_UNAVAILABLE" });
  await leave();
  await manager.start();
  await next("client: gap", "copy: gap");
  for (const channel of ["a", "unwanted", "b"]) await direct.client.publish(channel, "1");
  await direct.client.publish("bus", "1");
  await next("bus too 1", "client: a 1", "client: bus 1", "copy: b 1");

  proxy.pauseReplies();
  const late = failure(copy.subscribe("late"));
  const other = client.duplicate();
  const queued = failure(other.subscribe("late"));
  copy.disconnect();
  other.disconnect();
  await Promise.all([copy.connect(), other.connect()]);
  proxy.heal();
  for (const refused of [late, queued]) t.match(await refused, { message: "Connection is closed." });
  await next("copy: gap");
  t.equal(await direct.client.publish("late", "1"), 0, "what was refused is not subscribed");
});

t.test("options of a copy have an effect, or are refused by their names", needsRedis, async (t) => {
  const server = await launch(t);
  const { client } = await manage(t, { url: server.url, keyPrefix: "app:", environment: "test" });
  const refused = (given: unknown, message: RegExp): void =>
    void t.throws(() => client.duplicate(given as RedisOptions), { code: "REDIS_COMMAND_REFUSED", message });
  refused({ keyPrefix: "" }, /another keyPrefix/);
  refused({ keyPrefix: null, tls: {} }, /another keyPrefix, tls/);
  refused({ commandTimeout: 50, stringNumbers: true }, /with commandTimeout, stringNumbers is/);
  refused({ autoResubscribe: false, replyMapping: "resp3" }, /with autoResubscribe, replyMapping is/);
  refused({ conectionName: "typo" }, /with conectionName is .*may have of its own is connectionName, /);
  refused("redis://elsewhere", /no object/);
  const none = { keyPrefix: undefined, commandTimeout: undefined, stringNumbers: false, autoResubscribe: true };
  const copy = client.duplicate({
    ...none,
    connectionName: "worker",
    maxRetriesPerRequest: null,
    enableReadyCheck: false,
  });
  await copy.set("a", 1);
  t.equal(await client.get("a"), "1", "what is not given stays as it is");
  const waits = copy.blpop("jobs", 0);
  await until(
    async () => / name=worker [^\n]*cmd=blpop/.test(String(await client.client("LIST"))),
    "it waits by its name",
  );
  copy.disconnect();
  t.equal(await waits, null);
});

t.test("events say when the connection goes and comes, as those of ioredis do", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url });
  const events: string[] = [];
  for (const event of ["connect", "ready", "close", "reconnecting", "end"])
    manager.client.on(event, () => events.push(event));
  await server.kill();
  await until(() => events.includes("reconnecting"));
  await server.restart();
  await until(() => events.includes("ready"));
  await manager.stop();
  t.same(events, ["close", "reconnecting", "connect", "ready", "close", "end"]);
});

t.test("pipelines of one tick keep their callers", needsRedis, async (t) => {
  const { client } = await manage(t, { url: (await launch(t)).url });
  const exec = (): Promise<unknown> => client.pipeline().get("a").exec();
  const gone = { signal: AbortSignal.abort() };
  const calls = [runWithContext(gone, exec), exec(), runWithContext(gone, exec), client.get("a")];
  const aborted = [[{ code: "CALL_ABORTED" }]];
  t.match(await Promise.all(calls), [aborted, [[null, null]], aborted, null]);
});

t.test("a pipeline is one write to the socket, and the commands of a tick are two", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url });
  const write = Socket.prototype.write;
  let writes = 0;
  Socket.prototype.write = function (this: Socket, ...args: Parameters<typeof write>) {
    if (String(this.remotePort) === new URL(server.url).port) writes++;
    return write.apply(this, args);
  } as typeof write;
  t.teardown(() => (Socket.prototype.write = write));
  const pipeline = manager.client.pipeline();
  for (let n = 0; n < 20; n++) pipeline.set(`k${n}`, n);
  await pipeline.exec();
  t.equal(writes, 1);
  await Promise.all(Array.from({ length: 20 }, (_, n) => manager.client.get(`k${n}`)));
  t.equal(writes, 3, "the first goes at once");
});

t.test(
  "a stop without a drain loses nothing that a blocking command was given in the same moment",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const other = await manage(t, { url: server.url });
    const manager = new RedisPoolManager({ url: server.url });
    for (let round = 1; round <= 8; round++) {
      await manager.start();
      const got = manager.client.blpop("q", 0).catch((error: unknown) => error);
      await until(async () => /cmd=blpop/.test(String(await other.client.client("LIST"))), "it waits");
      const pushed = other.client.rpush("q", `job ${round}`);
      await manager.stop();
      await pushed;
      const left = await other.client.lrange("q", 0, -1);
      const taken = await got;
      t.same(Array.isArray(taken) ? [taken[1], ...left] : left, [`job ${round}`], `round ${round}`);
      await other.client.del("q");
    }
  },
);

t.test("a use that comes in the moment of a stop is carried out, or refused and not begun", needsRedis, async (t) => {
  const server = await launch(t);
  const direct = await manage(t, { url: server.url });
  const manager = await manage(t, { url: server.url });
  for (let ticks = 0; ticks < 8; ticks++) {
    await manager.client.use((connection) => connection.ping()); // so that one is idle
    let isBegun = false;
    const pushed = manager.client
      .use((connection) => {
        isBegun = true;
        return connection.rpush("q", ticks);
      })
      .catch((error: unknown) => error);
    for (let i = 0; i < ticks; i++) await Promise.resolve();
    await manager.stop();
    const popped = await direct.client.lpop("q");
    if (isBegun) t.same([await pushed, popped], [1, String(ticks)], `after ${ticks} ticks`);
    else t.match([await pushed, popped], [{ code: "RESOURCE_UNAVAILABLE", retryable: true }, null]);
    t.match(manager.stats()["dedicated"], { inUse: 0, size: 0 });
    await manager.start();
  }
});

t.test("what has a connection lent has the time of a stop, and no more", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url, maxConnections: 1 }, { stopTimeoutMs: 500 });
  const { client } = manager;
  let isBegun = false;
  const count = client.use(async (connection) => {
    isBegun = true;
    await until(() => manager.phase !== "ready", "the stop has begun");
    return connection.incr("n");
  });
  await until(() => isBegun, "it has a connection");
  await manager.stop();
  t.equal(await count, 1);
  await manager.start();
  const endless = failure(client.use(() => new Promise(() => {})));
  await until(() => (manager.stats()["dedicated"] as { size: number }).size === 1, "it has one too");
  await manager.stop();
  t.match(await endless, { code: "OUTCOME_UNKNOWN", retryable: false });
  await manager.start();
  t.equal(await client.use((connection) => connection.incr("n")), 2, "its place is free");
});

t.test("a lent connection whose time is over frees its place, though its function goes on", needsRedis, async (t) => {
  const server = await launch(t);
  const { client } = await manage(t, { url: server.url, maxConnections: 1 });
  await t.rejects(
    client.use(() => new Promise(() => {}), { timeoutMs: 50 }),
    { code: "DEADLINE_EXCEEDED" },
  );
  t.equal(await client.use((connection) => connection.ping()), "PONG");
});

t.test("a blocking command without a connection when a drain begins is refused", needsRedis, async (t) => {
  const server = await launch(t);
  const manager = await manage(t, { url: server.url, maxConnections: 1 }, { drainTimeoutMs: 1_000 });
  const { client } = manager;
  await client.use((connection) => connection.ping());
  const refused = { code: "RESOURCE_UNAVAILABLE", retryable: true, message: /draining/ };
  const chosen = failure(client.blpop("q", 0));
  const queued = failure(client.blpop("q", 0));
  await manager.drain();
  t.match([await chosen, await queued], [refused, refused]);
});

t.test("a stop lets go of what a client of the user's does not answer", needsRedis, async (t) => {
  const server = await launch(t);
  const proxy = await proxyTo(t, server);
  const mine = new Redis(proxy.port, proxy.host, { maxRetriesPerRequest: null });
  mine.on("error", () => {});
  t.teardown(async () => mine.disconnect());
  const options = { client: mine, maxConcurrent: 3, timeoutMs: 400, breaker: false } as const;
  const manager = await manage(t, options, { stopTimeoutMs: 200 });
  const { client } = manager;

  proxy.pauseReplies();
  const late = client.incr("n");
  const stopped = manager.stop();
  proxy.heal();
  await stopped;
  t.match(manager.stats(), { inUse: 0, succeeded: 1 }, "a reply in time is awaited");
  t.equal(await late, 1);

  await manager.start();
  proxy.halfOpen();
  await t.rejects(client.get("a"), { code: "DEADLINE_EXCEEDED" });
  t.equal(manager.stats()["inUse"], 1, "the driver still has it");
  t.match(await client.pipeline().get("a").get("b").exec(), [[{ code: "DEADLINE_EXCEEDED" }], [Error]]);
  t.equal(manager.stats()["inUse"], 2, "and so with a pipeline");
  const ended = Promise.all([failure(client.incr("n")), failure(client.get("a"))]);
  await manager.stop();
  t.match(manager.stats(), { inUse: 0, unknown: 1 });
  t.match(await ended, [
    { code: "OUTCOME_UNKNOWN", retryable: false },
    { code: "RESOURCE_UNAVAILABLE", retryable: true },
  ]);

  mine.stream.destroy(); // it connects anew
  await manager.start();
  t.same(
    await Promise.all([client.ping(), client.ping(), client.ping()]),
    ["PONG", "PONG", "PONG"],
    "all places are free",
  );
  t.equal(manager.stats()["inUse"], 0);
});
