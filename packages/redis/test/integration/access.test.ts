import { failure, until } from "@steward/testing";
import { Redis } from "ioredis";
import t from "tap";
import { redisPubSub, RedisPoolManager, redisRunner, type RedisPoolOptions } from "../../src/index.ts";
import { launch, needsRedis } from "../setup.ts";

const CODES = ["REDIS_NOT_PERMITTED", "REDIS_CONNECT_FAILED", "ENVIRONMENT_MISMATCH"];

interface Feature {
  /** All rules that it needs. The README lists them. */
  readonly rules: readonly string[];
  readonly options?: RedisPoolOptions;
  readonly use: (manager: RedisPoolManager) => Promise<unknown>;
}

const FEATURES: Readonly<Record<string, Feature>> = {
  health: { rules: ["+ping"], use: (manager) => manager.probe() },
  commands: { rules: ["+get", "~app:*"], use: ({ client }) => client.get("app:1") },
  pipelines: {
    rules: ["+incr", "~app:*"],
    use: async ({ client }) => {
      for (const [error] of (await client.pipeline().incr("app:n").exec()) ?? []) if (error !== null) throw error;
    },
  },
  db: { rules: ["+select"], options: { db: 1 }, use: async () => {} },
  blocking: { rules: ["+blpop", "~app:*"], use: ({ client }) => client.blpop("app:list", 0.01) },
  subscribe: {
    rules: ["+subscribe", "+unsubscribe", "+publish", "&news"],
    use: async ({ client }) => {
      const pubSub = redisPubSub(client);
      const heard: string[] = [];
      const end = await pubSub.subscribe("news", (message) => void heard.push(message));
      await pubSub.publish("news", "extra");
      await until(() => heard.length > 0, "heard");
      await end();
    },
  },
  scripts: {
    rules: ["+evalsha", "+eval", "+set", "~app:*"],
    use: ({ client }) =>
      redisRunner(client).script(`return redis.call("SET", KEYS[1], 1)`, [`app:${Math.random()}`], []),
  },
  environment: {
    rules: ["+get", "+set", "~app:*"],
    options: { environment: "test", keyPrefix: "app:" },
    use: async () => {},
  },
};

t.test(
  "each feature works with the rules that the README lists, and with one less it is refused with a code",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const admin = new Redis(server.url);
    t.teardown(() => admin.quit());
    const attempt = async ({ options, use }: Feature, rules: readonly string[]): Promise<Error | undefined> => {
      await admin.call("ACL", "SETUSER", "app", "reset", "on", ">secret", ...rules);
      await admin.del("app:steward:environment");
      await admin.script("FLUSH");
      const at = { host: "127.0.0.1", port: Number(new URL(server.url).port), username: "app", password: "secret" };
      const manager = new RedisPoolManager({ ...at, ...options, acquireTimeoutMs: 300, timeoutMs: 500 });
      try {
        await manager.start();
        await use(manager);
        return undefined;
      } catch (error) {
        return error as Error; // what rejects here are errors
      } finally {
        await manager.stop();
      }
    };
    for (const [name, feature] of Object.entries(FEATURES)) {
      const { rules } = feature;
      t.equal(await attempt(feature, rules), undefined, name);
      for (const rule of rules) {
        const error = await attempt(
          feature,
          rules.filter((one) => one !== rule),
        );
        const { code } = (error ?? {}) as { code?: string };
        t.ok(CODES.includes(code ?? ""), `${name} without ${rule}: ${String(error)}`);
        t.notMatch(String(error), /secret/);
      }
    }
  },
);

t.test("what a user may not do in a transaction has the code too, in the reply of EXEC", needsRedis, async (t) => {
  const server = await launch(t);
  const admin = new Redis(server.url);
  t.teardown(() => admin.quit());
  await admin.call("ACL", "SETUSER", "app", "reset", "on", ">secret", "+@all", "-del", "~*");
  const at = { host: "127.0.0.1", port: Number(new URL(server.url).port), username: "app", password: "secret" };
  await using manager = await new RedisPoolManager(at).start();
  const own = new Redis(at);
  t.teardown(() => own.quit());
  await using lent = await new RedisPoolManager({ client: own }).start();
  const script = "return redis.call('del', KEYS[1])";
  const code = "REDIS_NOT_PERMITTED";
  for (const { client } of [manager, lent]) t.match(await client.multi().eval(script, 1, "a").exec(), [[{ code }]]);
  const { client } = manager;
  t.match(await client.use((connection) => connection.multi().eval(script, 1, "a").exec()), [[{ code }]]);
});

t.test(
  "a password that was replaced between asking and login is asked for again, and one that hangs is given up",
  needsRedis,
  async (t) => {
    const server = await launch(t);
    const admin = new Redis(server.url);
    t.teardown(() => admin.quit());
    await admin.call("ACL", "SETUSER", "app", "reset", "on", ">second", "+@all", "~*");
    const port = Number(new URL(server.url).port);
    const said = ["first", "first", "second"];
    const username = async (): Promise<string> => "app";
    const password = (): string => said.shift() ?? "second";
    await using manager = await new RedisPoolManager({ port, username, password }).start();
    t.equal(await manager.client.set("a", 1), "OK");
    t.strictSame(said, [], "it was asked until the server took it");
    const users = ["gone", "gone"];
    await using fixed = await new RedisPoolManager({
      port,
      username: () => users.shift() ?? "app",
      password: "second",
    }).start();
    t.equal(await fixed.client.set("a", 1), "OK", "a user that is fetched is asked for too");
    const wrong = await failure(new RedisPoolManager({ port, username: "app", password: () => "first" }).start());
    t.match(wrong, { code: "REDIS_CONNECT_FAILED", retryable: false });
    const hanging = new RedisPoolManager({ port, password: () => new Promise<string>(() => {}), connectTimeoutMs: 50 });
    t.match(await failure(hanging.start()), { code: "REDIS_CONNECT_FAILED", message: /no credentials within 50 ms/ });
  },
);
