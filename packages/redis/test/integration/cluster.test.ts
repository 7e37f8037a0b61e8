import { readFileSync } from "node:fs";
import { runWithContext } from "@steward/core";
import { Alarm, compareMembers, documentedMembers, failure, Load, until } from "@steward/testing";
import { Cluster } from "ioredis";
import t from "tap";
import { startRedisCluster, type RedisServer } from "@steward/launchers";
import { RedisClusterManager, type RedisClusterOptions } from "../../src/cluster/index.ts";
import { RedisPoolManager, redisPubSub, redisRunner } from "../../src/index.ts";
import { needsRedis, proxyTo } from "../setup.ts";

const cluster = needsRedis.skip === undefined ? await startRedisCluster() : undefined;
t.teardown(() => cluster?.stop());

async function manage(
  test: { teardown(end: () => Promise<unknown>): unknown },
  options: Partial<RedisClusterOptions> = {},
): Promise<RedisClusterManager> {
  const manager = new RedisClusterManager({ cluster: cluster?.seeds ?? [], ...options }, { name: "sessions" });
  test.teardown(() => manager.stop());
  return manager.start();
}

/** The cluster behind proxies, one for each node. */
async function proxied(test: Parameters<typeof proxyTo>[0]) {
  const nodes = cluster?.nodes ?? [];
  const proxies = await Promise.all(nodes.map((node) => proxyTo(test, node)));
  const seeds = proxies.map(({ host, port }) => ({ host, port }));
  const natMap = Object.fromEntries(seeds.map((seed, n) => [`${nodes[n]?.host}:${nodes[n]?.port}`, seed]));
  return { proxies, cluster: seeds, natMap };
}

t.test(
  "commands, pipelines, transactions, scripts and blocking commands find the node of their keys",
  needsRedis,
  async (t) => {
    const manager = await manage(t, { keyPrefix: "app:" });
    const { client } = manager;
    const keys = Array.from({ length: 50 }, (_, n) => `k${n}`);
    await Promise.all(keys.map((key) => client.set(key, key)));
    t.same(await Promise.all(keys.map((key) => client.get(key))), keys);
    t.same(await client.pipeline().set("{a}1", 1).get("{a}1").exec(), [
      [null, "OK"],
      [null, "1"],
    ]);
    t.same(await client.multi().incr("{a}1").incr("{a}1").exec(), [
      [null, 2],
      [null, 3],
    ]);
    t.equal(await client.eval("return redis.call('GET', KEYS[1])", 1, "{a}1"), "3");
    for (const key of ["q1", "q2", "q3", "q4"]) {
      const popped = client.blpop(key, 5);
      await client.rpush(key, "job");
      t.same(await popped, [`app:${key}`, "job"]);
    }
    const watched = await client.use(
      async (connection) => {
        await connection.watch("{a}1");
        return connection.multi().incr("{a}1").exec();
      },
      { key: "{a}1" },
    );
    t.same(watched, [[null, 4]]);
    await manager.probe();
  },
);

t.test("member by member it is a cluster client of ioredis, but for what the README lists", needsRedis, async (t) => {
  const raw = new Cluster([...(cluster?.seeds ?? [])]);
  t.teardown(() => raw.disconnect());
  await raw.get("a");
  const { client } = await manage(t);
  await client.get("a");
  const { compared, replaced, different } = compareMembers(raw, client);
  t.ok(compared > 600, `${compared} members`);
  const documented = documentedMembers(readFileSync("README.md", "utf8"), "Differences to ioredis' Cluster");
  t.same([...replaced, ...different].sort(), documented);
});

t.test("a copy of a cluster client has subscriptions and an end of its own", needsRedis, async (t) => {
  const manager = await manage(t);
  const copy = manager.client.duplicate(undefined, { redisOptions: { connectionName: "worker" } });
  const heard: string[] = [];
  copy.on("message", (channel, text) => heard.push(`${channel} ${text}`));
  await copy.subscribe("news");
  await copy.set("copied", 1);
  t.equal(await manager.client.get("copied"), "1");
  await manager.client.publish("news", "extra");
  await until(() => heard.length === 1);
  t.same(heard, ["news extra"]);
  t.same(copy.nodes("master"), manager.client.nodes("master"));
  const got = copy.blpop("never", 0);
  const lists = async (): Promise<unknown[]> => Promise.all(copy.nodes("master").map((node) => node.client("LIST")));
  await until(async () => / name=worker [^\n]*cmd=blpop/.test((await lists()).join("")), "it waits");
  await manager.renew();
  await copy.quit();
  t.equal(await got, null, "its waiting was ended, also over a connection that was renewed");
  t.match(await failure(copy.get("copied")), { message: "Connection is closed." });
  t.match(manager.stats(), { subscriptions: 0 });
  t.equal(await manager.client.get("copied"), "1");
  const refused = { code: "REDIS_COMMAND_REFUSED" };
  t.throws(() => manager.client.duplicate([{ host: "elsewhere" }]), refused);
  t.throws(() => manager.client.duplicate(null as unknown as []), refused);
  for (const options of [{ keyPrefix: "other:" }, { scaleReads: "all" as const }, { shardedSubscribers: true }])
    t.throws(() => manager.client.duplicate(undefined, options), { ...refused, message: /another [ksS]/ });
  for (const redisOptions of [{ keyPrefix: "x:" }, { username: "x" }, { password: "x" }, { db: 1 }, { tls: {} }])
    t.throws(() => manager.client.duplicate(undefined, { redisOptions }), refused);
});

t.test("pipelines of a copy find their nodes, and end with it", needsRedis, async (t) => {
  const manager = new RedisClusterManager({ cluster: cluster?.seeds ?? [], timeoutMs: 500 });
  t.teardown(() => manager.stop());
  const early = manager.client.duplicate();
  for (const client of [manager.client, early]) {
    const calls = [client.set("{p}0", 0), client.pipeline().get("{p}0").exec(), client.multi().get("{p}0").exec()].map(
      failure,
    );
    const refused = { code: "RESOURCE_UNAVAILABLE", retryable: true };
    for (const [n, call] of (await Promise.all(calls)).entries()) t.match(call, refused, `before the start: ${n}`);
  }
  await manager.start();
  const copy = manager.client.duplicate().duplicate();
  for (const client of [early, copy]) {
    t.equal(client.status, "ready");
    t.equal(await client.set("{p}1", 1), "OK");
    t.same(await client.pipeline().incr("{p}1").get("{p}1").exec(), [
      [null, 2],
      [null, "2"],
    ]);
    t.same(await client.multi().incr("{p}1").exec(), [[null, 3]]);
    t.match(await redisRunner(client as typeof manager.client).batch([["INCR", "{p}1"]]), [{ value: 4 }]);
  }
  await Promise.all(cluster?.nodes.map((node) => node.pause()) ?? []);
  const late = copy.pipeline().get("{p}1").exec();
  const gone = new AbortController();
  const unwanted = runWithContext({ signal: gone.signal }, () => early.multi().get("{p}1").exec());
  gone.abort();
  t.match(await failure(unwanted), { code: "CALL_ABORTED" });
  t.match(await late, [[{ code: "DEADLINE_EXCEEDED" }]]);
  await Promise.all(cluster?.nodes.map((node) => node.resume()) ?? []);
  copy.disconnect();
  t.match(await copy.pipeline().get("{p}1").exec(), [[{ message: "Connection is closed." }]]);
  await manager.stop();
  t.match(await failure(early.multi().get("{p}1").exec()), { code: "RESOURCE_UNAVAILABLE" });
});

t.test("a cluster of another environment refuses the start", needsRedis, async (t) => {
  const { client } = await manage(t, { keyPrefix: "marked:", environment: "production" });
  await client.set("a", 1);
  const { client: observer } = await manage(t);
  t.same(await Promise.all(["marked:production:a", "marked:steward:environment"].map((key) => observer.get(key))), [
    "1",
    "production",
  ]);
  await manage(t, { keyPrefix: "marked:", environment: "production" });
  const refused = manage(t, { keyPrefix: "marked:", environment: "test" });
  t.match(await failure(refused), { code: "ENVIRONMENT_MISMATCH", resource: "sessions" });
});

t.test("a batch goes to the nodes of its keys, and its replies come in its order", needsRedis, async (t) => {
  const { client } = await manage(t, { keyPrefix: "batch:" });
  const runner = redisRunner(client);
  const keys = Array.from({ length: 200 }, (_, n) => `k${n}`);
  const done = await runner.batch(keys.map((key) => ["SET", key, key] as const));
  t.ok(done.every((reply) => reply.status === "fulfilled" && reply.value === "OK"));
  const read = await runner.binary.batch(keys.map((key) => ["GET", key] as const));
  t.same(
    read,
    keys.map((key) => ({ status: "fulfilled", value: Buffer.from(key) })),
  );
  t.match(
    await runner.batch([["GET", "k1"], ["MGET", "k1", "k2"], ["MGET", "{t}1", "{t}2"], ["PING"]]),
    [{ value: "k1" }, { status: "rejected" }, { value: [null, null] }, { value: "PONG" }],
    "keys of several slots fail the command that has them alone",
  );
});

t.test("messages reach subscribers whatever node they are published to", needsRedis, async (t) => {
  const manager = await manage(t);
  const bus = redisPubSub(manager.client);
  const heard: string[] = [];
  const leave = await bus.subscribe("news", (message) => heard.push(message));
  for (let n = 0; n < 5; n++) await bus.publish("news", String(n));
  await until(() => heard.length === 5, "all arrived");
  await leave();
});

t.test("reads go to replicas where that is wanted, and the map of slots is fetched anew", needsRedis, async (t) => {
  const manager = await manage(t, { scaleReads: "replica", slotsRefreshMs: 50 });
  const calls = async (nodes: readonly RedisServer[], command: string): Promise<number> => {
    const texts = await Promise.all(
      nodes.map(async ({ host, port }) => {
        const one = await new RedisPoolManager({ host, port }).start();
        const text = await one.client.info("commandstats");
        await one.stop();
        return new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(text)?.[1] ?? "0";
      }),
    );
    return texts.reduce((sum, text) => sum + Number(text), 0);
  };
  const replicas = (await cluster?.replicas()) ?? [];
  const before = [await calls(replicas, "get"), await calls(cluster?.nodes ?? [], "cluster\\|slots")] as const;
  await until(() => manager.stats()["size"] === 6, "replicas are connected too");
  for (let n = 0; n < 30; n++) await manager.client.get(`k${n}`);
  t.equal((await calls(replicas, "get")) - before[0], 30);
  await until(
    async () => (await calls(cluster?.nodes ?? [], "cluster\\|slots")) >= before[1] + 3,
    "it asked again and again",
  );
});

t.test("an unreachable cluster fails the start with the addresses and the reason", needsRedis, async (t) => {
  const manager = new RedisClusterManager({ cluster: [{ host: "127.0.0.1", port: 1 }] });
  await t.rejects(manager.start(), { code: "REDIS_CONNECT_FAILED", message: /127\.0\.0\.1:1: .*ECONNREFUSED/ });
  await manager.stop();
});

t.test(
  "100 INCR on a node whose replies are lost: none runs twice; half-open: the node is asked and replaced",
  needsRedis,
  async (t) => {
    const { proxies, ...addresses } = await proxied(t);
    const direct = await manage(t);
    const patient = await manage(t, { ...addresses, silenceMs: 60_000, timeoutMs: 60_000 });
    for (const proxy of proxies) proxy.dropReplies();
    const calls = Promise.allSettled(Array.from({ length: 100 }, () => patient.client.incr("lost")));
    await until(async () => (await direct.client.get("lost")) === "100", "the node ran them all");
    // What the driver itself has to say to a node is nobody's call, and is not counted as one.
    const own = patient.client.nodes("master").map((node) => t.rejects(node.readonly()));
    for (const proxy of proxies) await proxy.heal();
    for (const proxy of proxies) proxy.reset();
    await Promise.all(own);
    t.ok((await calls).every((one) => one.status === "rejected" && one.reason.code === "OUTCOME_UNKNOWN"));
    t.equal(patient.stats()["unknown"], 100);
    await until(() => patient.client.get("lost").then((value) => value === "100"), "each ran once");
    const quick = await manage(t, addresses);
    await quick.client.get("lost");
    for (const proxy of proxies) proxy.halfOpen();
    t.equal(await quick.client.get("lost"), "100", "a read is sent again on a new connection");
  },
);

t.test("of pipelines whose replies are lost those that only read are sent again", needsRedis, async (t) => {
  const { proxies, ...addresses } = await proxied(t);
  const direct = await manage(t);
  const { client } = await manage(t, { ...addresses, silenceMs: 60_000, timeoutMs: 60_000 });
  await direct.client.set("{mixed}1", 0);
  for (const proxy of proxies) proxy.dropReplies();
  const reads = client.pipeline().get("{mixed}1").strlen("{mixed}1").exec();
  const mixed = client.pipeline().get("{mixed}1").incr("{mixed}1").strlen("{mixed}1").exec();
  await until(async () => (await direct.client.get("{mixed}1")) === "1", "the node ran them all");
  for (const proxy of proxies) await proxy.heal();
  for (const proxy of proxies) proxy.reset();
  const unknown = { code: "OUTCOME_UNKNOWN", resource: "sessions" };
  t.match(await mixed, [
    [{ ...unknown, retryable: true }],
    [{ ...unknown, retryable: false }],
    [{ ...unknown, retryable: true }],
  ]);
  t.same(await reads, [
    [null, "1"],
    [null, 1],
  ]);
});

t.test("a pipeline that is sent again keeps its deadline and its caller", needsRedis, async (t) => {
  const { proxies, ...addresses } = await proxied(t);
  const { client } = await manage(t, { ...addresses, timeoutMs: 500, breaker: false });
  for (const proxy of proxies) await proxy.refuse();
  for (const proxy of proxies) proxy.reset();
  await until(() => client.nodes().every(({ status }) => status !== "ready"));
  const gone = new AbortController();
  const unwanted = runWithContext({ signal: gone.signal }, () => client.pipeline().get("{again}1").exec());
  const others = [client.pipeline().get("{again}1").exec(), client.duplicate().pipeline().get("{again}2").exec()];
  gone.abort();
  t.match(await unwanted, [[{ code: "CALL_ABORTED" }]]);
  for (const other of others) t.match(await other, [[{ code: "DEADLINE_EXCEEDED" }]]);
});

t.test("a renewal is seen by no call; a node that accepts no other connection keeps its own", needsRedis, async (t) => {
  const { proxies, ...addresses } = await proxied(t);
  const manager = await manage(t, addresses);
  const { client } = manager;
  const ids = async (): Promise<ReadonlyMap<unknown, unknown>> =>
    new Map(
      await Promise.all(client.nodes().map(async (node) => [node.options.port, await node.client("ID")] as const)),
    );
  const before = await ids();
  const heard: unknown[] = [];
  let calls = 0;
  const load = await Load.begin(1_000, () => {
    const pipeline = client.pipeline().incr(`renewed${calls++ % 60}`, (error) => heard.push(error));
    return pipeline.exec();
  });
  for (let n = 0; n < 20; n++) await Promise.all([manager.renew(), load.run(25)]);
  t.equal(await load.end(), 0);
  t.same(heard, new Array(calls).fill(null), "each callback is called once");
  const after = await ids();
  t.same([...after.keys()].sort(), [...before.keys()].sort());
  t.ok([...after].every(([port, id]) => id !== before.get(port)));
  t.match(manager.stats(), { size: before.size, reconnects: 0, resent: 0, unknown: 0 });
  for (const proxy of proxies) await proxy.refuse();
  await t.rejects(manager.renew(), { code: "REDIS_CONNECT_FAILED", message: /ECONNREFUSED/ });
  t.same(await ids(), after);
  t.match(manager.stats(), { size: before.size, reconnects: 0 });
});

for (const fault of ["killed", "frozen"] as const)
  t.test(
    `a ${fault} master: others go on, its slots come back with its replica, and every call meets its deadline`,
    needsRedis,
    async (t) => {
      const manager = await manage(t, { timeoutMs: 2_000 });
      const [victim] = (await cluster?.masters()) ?? [];
      const slots = Array.from({ length: 60 }, (_, n) => `key${n}`);
      let n = 0;
      const load = await Load.begin(100, () => manager.client.incr(slots[n++ % slots.length] ?? ""), 2_300);
      await load.run(500);
      const at = performance.now();
      await (fault === "killed" ? victim?.kill() : victim?.pause());
      await load.run(1_000);
      t.ok(await load.runUntilWell(performance.now()), "its slots come back with its replica");
      const unsettled = await load.end();
      await (fault === "killed" ? victim?.restart() : victim?.resume());
      t.comment(load.outcomes);
      t.equal(unsettled, 0);
      t.strictSame(load.late, [], "none outlives its deadline");
      const others = load.samples.filter((one) => one.began > at && one.code === undefined && one.began < at + 1_000);
      t.ok(others.length > 0.3 * load.rate, "slots of other nodes were served meanwhile");
      await settled(cluster?.nodes ?? []);
    },
  );

/** Waits until the cluster is whole again, for the next test. */
async function settled(nodes: readonly RedisServer[]): Promise<void> {
  await until(
    async () =>
      (await cluster?.masters())?.length === 3 && (await cluster?.replicas())?.length === 3 && nodes.length === 6,
    "3 masters, 3 replicas",
    15_000,
  );
}

t.test("stops at once and for good beside frozen nodes", needsRedis, async (t) => {
  const manager = new RedisClusterManager({ cluster: cluster?.seeds ?? [] }, { stopTimeoutMs: 1_000 });
  await manager.start();
  await Promise.all(cluster?.nodes.map((node) => node.pause()) ?? []);
  const calls = Array.from({ length: 20 }, (_, n) => manager.client.incr(`n${n}`));
  using alarm = new Alarm(1_500);
  await manager.stop().catch(() => {});
  t.notOk(alarm.hasRung);
  const outcomes = await Promise.allSettled(calls);
  t.ok(outcomes.every(({ status }) => status === "rejected"));
  await Promise.all(cluster?.nodes.map((node) => node.resume()) ?? []);
});
