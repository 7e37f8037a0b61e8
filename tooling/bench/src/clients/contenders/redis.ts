import { RedisPoolManager } from "@steward/redis";
import { startRedis } from "@steward/testing/servers";
import { Redis } from "ioredis";
import { DEADLINE_MS, type ClientContenders, type ClientVariant } from "../contender.ts";

function raw(name: string, options: { commandTimeout?: number }): ClientVariant {
  return {
    name,
    async open(url) {
      const { hostname, port } = new URL(url);
      const redis = new Redis(Number(port), hostname, options);
      await redis.set("key", "v".repeat(64));
      return { call: () => redis.get("key"), end: () => redis.quit() };
    },
  };
}

const ours: ClientVariant = {
  name: "Steward",
  async open(url) {
    const manager = await new RedisPoolManager({ url, timeoutMs: DEADLINE_MS }).start();
    const { client } = manager;
    await client.set("key", "v".repeat(64));
    return { call: () => client.get("key"), end: () => manager.stop() };
  },
};

export const contenders: ClientContenders = {
  variants: [ours, raw("ioredis", {}), raw("ioredis, same deadline", { commandTimeout: DEADLINE_MS })],
  async launch() {
    const server = await startRedis();
    return { url: server.url, stop: () => server.stop() };
  },
};
