import { Load, until } from "@steward/testing";
import t from "tap";
import { startRedisSentinel } from "@steward/launchers";
import { manage, needsRedis } from "../setup.ts";

for (const fault of ["killed", "frozen"] as const)
  t.test(
    `sentinels, a ${fault} master: the pool follows to the new one, and every call meets its deadline`,
    needsRedis,
    async (t) => {
      await using group = await startRedisSentinel();
      const manager = await manage(t, { sentinels: group.seeds, sentinelName: group.name });
      const load = await Load.begin(100, () => manager.client.incr("n"), 2_300);
      await load.run(500);
      const [master] = group.nodes;
      await (fault === "killed" ? master?.kill() : master?.pause());
      t.ok(await load.runUntilWell(performance.now()), "it follows to the new master");
      const unsettled = await load.end();
      t.comment(load.outcomes);
      t.equal(unsettled, 0);
      t.strictSame(load.late, [], "none outlives its deadline");
      if (fault === "frozen") await master?.resume();
      await manager.stop();
    },
  );

t.test("sentinels: a failover that leaves the old connection alive is followed too", needsRedis, async (t) => {
  await using group = await startRedisSentinel();
  const manager = await manage(t, { sentinels: group.seeds, sentinelName: group.name });
  const reader = await manage(t, { sentinels: group.seeds, sentinelName: group.name, sentinelRole: "replica" });
  const port = async (): Promise<string | undefined> => /tcp_port:(\d+)/.exec(await manager.client.info("server"))?.[1];
  t.match(await reader.client.info("replication"), /role:slave/);
  await manager.client.set("a", 1);
  const before = await port();
  const control = await manage(t, { host: "127.0.0.1", port: group.seeds[0]?.port ?? 0 });
  await control.client.call("SENTINEL", "FAILOVER", group.name);
  // Where the announcement came before the subscription, the old master is left once a sentinel has demoted it, 8 s later.
  await until(async () => (await port()) !== before, "it reads from the new master", 30_000);
  await until(
    () =>
      manager.client.set("a", 2).then(
        () => true,
        () => false,
      ),
    "it writes to the new master",
  );
  await Promise.all([manager.stop(), reader.stop(), control.stop()]);
});

t.test("a frozen sentinel does not keep the pool from starting", needsRedis, async (t) => {
  await using group = await startRedisSentinel();
  await group.sentinels[0]?.pause();
  const manager = await manage(t, { sentinels: group.seeds, sentinelName: group.name, connectTimeoutMs: 2_000 });
  t.equal(await manager.client.ping(), "PONG");
  await group.sentinels[0]?.resume();
  await manager.stop();
});

t.test("an unknown name fails the start", needsRedis, async (t) => {
  await using group = await startRedisSentinel();
  await t.rejects(manage(t, { sentinels: group.seeds, sentinelName: "nobody" }), {
    code: "REDIS_CONNECT_FAILED",
    message: /master "nobody" of 3 sentinels/,
  });
});

t.test("sentinels that want a login get it", needsRedis, async (t) => {
  await using group = await startRedisSentinel();
  for (const { host, port } of group.seeds) {
    const control = await manage(t, { host, port });
    await control.client.call("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all");
    await control.client.call("ACL", "SETUSER", "default", "off");
    await control.stop();
  }
  const login = { sentinelUsername: "app", sentinelPassword: () => "secret" };
  const manager = await manage(t, { sentinels: group.seeds, sentinelName: group.name, ...login });
  t.equal(await manager.client.ping(), "PONG");
  await manager.stop();
  await t.rejects(manage(t, { sentinels: group.seeds, sentinelName: group.name }), { code: "REDIS_CONNECT_FAILED" });
});
