import type { PubSub, RedisRunner, SqlRunner } from "@steward/core";
import { postgresForTests, redisForTests } from "@steward/launchers";
import { Redis } from "ioredis";
import postgres from "postgres";
import t from "tap";
import { CryptoBackendManager, keyKek, redisStore, sqlStore } from "../../src/index.ts";
import { storeContract } from "../store-contract.ts";

function sqlRunner(sql: postgres.Sql | postgres.TransactionSql): SqlRunner {
  return {
    query: async (text, parameters = []) => (await sql.unsafe(text, parameters as never[])) as never, // rows are what the caller says
    transaction: (work) =>
      "begin" in sql ? (sql.begin((inner) => work(sqlRunner(inner))) as never) : work(sqlRunner(sql)), // as above
  };
}

function redisRunner(redis: Redis): Pick<RedisRunner, "command" | "script"> {
  const plain = (value: string | number | Uint8Array): string | number | Buffer =>
    value instanceof Uint8Array ? Buffer.from(value) : value;
  return {
    command: (name, ...args) => redis.call(name, ...args.map(plain)),
    script: (source, keys, args) => redis.eval(source, keys.length, ...keys, ...args.map(plain)),
  };
}

function pubSub(publisher: Redis, subscriber: Redis): PubSub {
  return {
    publish: async (topic, message) => void (await publisher.publish(topic, message)),
    async subscribe(topic, listener) {
      const hear = (channel: string, message: string): void => void (channel === topic && listener(message));
      subscriber.on("message", hear);
      await subscriber.subscribe(topic);
      return async () => void subscriber.off("message", hear);
    },
  };
}

t.test("Postgres", async (t) => {
  await using server = await postgresForTests();
  const sql = postgres(server.url, { onnotice: () => {}, max: 8 });
  t.teardown(() => sql.end());
  const table = `keys_${process.pid}_${Date.now()}`;
  await storeContract(t, () => sqlStore({ sql: sqlRunner(sql), table }));
  await sql.unsafe(`drop table ${table}`);
  for (let round = 0; round < 5; round++) {
    const fresh = `${table}_${round}`;
    const stores = Array.from({ length: 8 }, () => sqlStore({ sql: sqlRunner(sql), table: fresh }));
    const found = await Promise.all(stores.map((store) => store.load("box")));
    t.ok(
      found.every((each) => each === undefined),
      "eight at once make one table",
    );
    await sql.unsafe(`drop table ${fresh}`);
  }
  await sql.end();
});

t.test("Redis", async (t) => {
  await using server = await redisForTests();
  if (server.skip !== false) return t.comment(server.skip);
  const clients = [new Redis(server.url), new Redis(server.url)] as const;
  const prefix = `keys:${process.pid}:${Date.now()}:`;
  await storeContract(t, () => redisStore({ redis: redisRunner(clients[0]), prefix }));

  await t.test("a rotation is heard at once where there is a PubSub", async (t) => {
    const kek = keyKek({ key: Buffer.alloc(32, 3) });
    const options = {
      kek,
      keysets: { heard: { algorithm: "aes-256-gcm" } },
      refreshEveryMs: 3_600_000,
      propagationMs: 0,
    } as const;
    const store = () => redisStore({ redis: redisRunner(clients[0]), prefix, pubSub: pubSub(clients[0], clients[1]) });
    await using a = await new CryptoBackendManager({ ...options, store: store() }).start();
    await using b = await new CryptoBackendManager({ ...options, store: store() }).start();
    const id = await a.client.keys("heard").rotate({ immediate: true });
    const until = Date.now() + 10_000;
    while (b.client.keys("heard").info().primary !== id && Date.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 10));
    t.equal(b.client.keys("heard").info().primary, id);
  });
  for (const client of clients) client.disconnect();
});
