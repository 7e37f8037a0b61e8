import { CacheManager, type Cache } from "@steward/cache";
import { RedisPoolManager, redisRunner } from "@steward/redis";
import { startRedis } from "@steward/launchers";
import { LRUCache } from "lru-cache";
import { lanes, type Group, type Opened } from "../arms/together.ts";
import { bentocache, cacheable } from "./contenders.ts";

const AT_ONCE = 50;
/** About 200 bytes, as a row of a table may have. */
const ROW = { id: "7", title: "Sunrise", description: "x".repeat(120), tags: ["a", "b"], durationMs: 90_000 };
const TTL_MS = 3_600_000;

const load = async (): Promise<typeof ROW> => ROW;

/** A hit in memory, and one in Redis beside a bare GET of the same bytes on the same connection. */
export async function open(): Promise<Opened> {
  const server = await startRedis();
  const redis = await new RedisPoolManager({ url: server.url }).start();
  const remote = { redis: redisRunner(redis.client), localTtlMs: 0, timeoutMs: 5_000 };
  const [memory, shared] = await Promise.all([
    new CacheManager<typeof ROW>({ ttlMs: TTL_MS }).start(),
    new CacheManager<typeof ROW>({ ttlMs: TTL_MS, remote }).start(),
  ]);
  const bento = bentocache(server.url, false);
  await memory.client.set("7", ROW);
  await shared.client.set("7", ROW);
  await redis.client.set("row", JSON.stringify(ROW));
  const inRedis: Group = {
    work: "a hit in Redis",
    runs: {
      Steward: lanes(AT_ONCE, () => shared.client.getOrLoad("7", load)),
      "GET and JSON.parse on the same client": lanes(AT_ONCE, async () =>
        JSON.parse((await redis.client.get("row")) ?? "null"),
      ),
      bentocache: lanes(AT_ONCE, () => bento.getOrSet({ key: "7", factory: load })),
    },
  };
  return {
    groups: [...inMemory(memory.client), inRedis],
    async [Symbol.asyncDispose]() {
      await Promise.all([memory.stop(), shared.stop(), bento.disconnectAll()]);
      await redis.stop();
      await server.stop();
    },
  };
}

function inMemory(cache: Cache<typeof ROW>): readonly Group[] {
  const lru = new LRUCache<string, typeof ROW>({ max: 1_000, fetchMethod: load });
  const [bento, rival] = [bentocache(), cacheable()];
  return [
    {
      work: "a hit in memory",
      runs: {
        Steward: lanes(1, () => cache.getOrLoad("7", load)),
        "lru-cache, its fetch": lanes(1, () => lru.fetch("7")),
        bentocache: lanes(1, () => bento.getOrSet({ key: "7", factory: load })),
        cacheable: lanes(1, () => rival.getOrSet("7", load)),
      },
    },
    {
      work: "a peek into memory",
      runs: {
        Steward: async (count) => {
          for (let i = 0; i < count; i++) cache.peek("7");
        },
        "lru-cache, its get": async (count) => {
          for (let i = 0; i < count; i++) lru.get("7");
        },
      },
    },
  ];
}
