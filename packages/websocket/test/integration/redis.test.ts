import { RedisPoolManager, redisPubSub } from "@steward/redis";
import { startFaultProxy, until } from "@steward/testing";
import { redisForTests } from "@steward/launchers";
import t from "tap";
import { hubFor, sessionsFor } from "../setup.ts";

const redis = await redisForTests();
t.teardown(() => redis[Symbol.asyncDispose]());

t.test(
  "two hubs over Redis are one: rooms, presence, and what was missed on the way from one to the other",
  { skip: redis.skip },
  async (t) => {
    if (redis.skip !== false) return;
    const url = redis.url;
    const hub = async () => {
      const pool = await new RedisPoolManager({ url }).start();
      t.teardown(() => pool.stop());
      return hubFor<string>(t, {
        pubSub: redisPubSub(pool.client),
        topic: `test:${process.pid}`,
        authenticate: ({ url }) => (url ?? "").slice(1),
        identify: ({ user }) => user,
      });
    };
    const [a, b] = await Promise.all([hub(), hub()]);
    await Promise.all([a.probe(), b.probe()]);
    const ada = await sessionsFor(t, { url: `${a.url}/ada` });
    const bob = await sessionsFor(t, { url: [`${b.url}/bob`, `${a.url}/bob`] });
    const heard: Record<string, unknown[]> = { ada: [], bob: [] };
    const gaps: string[] = [];
    bob.client.on("gap", (room) => gaps.push(room));
    await ada.client.join("r", ({ data }) => heard["ada"]?.push(data));
    await bob.client.join("r", ({ data }) => heard["bob"]?.push(data));
    await until(
      () => a.client.presence("r").length === 2 && b.client.presence("r").length === 2,
      "both hubs know both",
    );
    for (let i = 0; i < 50; i++) await Promise.all([a.client.publish("r", i), b.client.publish("r", 1_000 + i)]);
    await until(() => heard["ada"]?.length === 100 && heard["bob"]?.length === 100, "each got all");
    for (const list of Object.values(heard)) {
      t.same(
        list.filter((n) => Number(n) < 1_000),
        Array.from({ length: 50 }, (_, i) => i),
        "in order per hub",
      );
      t.same(
        list.filter((n) => Number(n) >= 1_000),
        Array.from({ length: 50 }, (_, i) => 1_000 + i),
      );
    }
    const missed = new Promise<void>((resolve) => {
      bob.client.once("close", async () => {
        for (let i = 0; i < 5; i++) await a.client.publish("r", `missed ${i}`);
        resolve();
      });
    });
    await Promise.all([b.stop(), missed]);
    await bob.client.ready();
    await until(() => heard["bob"]?.length === 105, "bob got it from the other hub");
    t.same(
      heard["bob"]?.slice(100),
      [0, 1, 2, 3, 4].map((i) => `missed ${i}`),
    );
    t.same(gaps, []);
  },
);

t.test(
  "a hub whose broker is silent says so in its probe, and tells its rooms of the gap afterwards",
  { skip: redis.skip },
  async (t) => {
    if (redis.skip !== false) return;
    const proxy = await startFaultProxy({ target: redis.url });
    t.teardown(() => proxy.stop());
    const pool = await new RedisPoolManager({ url: proxy.url, heartbeatMs: 200 }).start();
    t.teardown(() => pool.stop());
    const hub = await hubFor(
      t,
      { pubSub: redisPubSub(pool.client), topic: `gap:${process.pid}` },
      { probeTimeoutMs: 500 },
    );
    const { client } = await sessionsFor(t, { url: hub.url });
    const gaps: string[] = [];
    client.on("gap", (room) => gaps.push(room));
    await client.join("r", () => {});
    proxy.blackhole();
    await t.rejects(hub.probe());
    await proxy.heal();
    proxy.reset();
    await until(() => gaps.includes("r"), "the gap is told");
    const answers = (): Promise<boolean> =>
      hub.probe().then(
        () => true,
        () => false,
      );
    await until(answers, "and its probe is well");
  },
);
