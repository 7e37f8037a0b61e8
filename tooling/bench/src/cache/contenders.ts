import { CacheManager } from "@steward/cache";
import { redisPubSub, RedisPoolManager, redisRunner } from "@steward/redis";
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { redisBusDriver, redisDriver } from "bentocache/drivers/redis";
import { Cacheable } from "cacheable";

/** bentocache in memory, or in Redis with or without memory before it. */
export function bentocache(url?: string, hasMemory = true) {
  const store = bentostore();
  if (hasMemory || url === undefined) store.useL1Layer(memoryDriver({ maxItems: 1_000 }));
  if (url !== undefined) {
    const { hostname: host, port } = new URL(url);
    const connection = { host, port: Number(port) };
    store.useL2Layer(redisDriver({ connection }));
    if (hasMemory) store.useBus(redisBusDriver({ connection }));
  }
  return new BentoCache({ default: "one", ttl: 3_600_000, stores: { one: store } });
}

/** cacheable in memory. */
export function cacheable(): Cacheable {
  return new Cacheable({ ttl: 3_600_000 });
}

/** A cache over a Redis, and how it ends. */
export interface Contender extends AsyncDisposable {
  readonly get: (key: string, load: () => Promise<string>) => Promise<unknown>;
}

/** Caches that several processes share, by name. */
export const CONTENDERS: Readonly<Record<string, (url: string) => Promise<Contender>>> = {
  Steward: async (url) => {
    const redis = await new RedisPoolManager({ url }).start();
    const remote = { redis: redisRunner(redis.client), bus: redisPubSub(redis.client), timeoutMs: 5_000 };
    const manager = await new CacheManager<string>({ remote }).start();
    return {
      get: (key, load) => manager.client.getOrLoad(key, load),
      [Symbol.asyncDispose]: async () => {
        await manager.stop();
        await redis.stop();
      },
    };
  },
  bentocache: async (url) => {
    const cache = bentocache(url);
    return {
      get: (key, load) => cache.getOrSet({ key, factory: load }),
      [Symbol.asyncDispose]: () => cache.disconnectAll(),
    };
  },
};
