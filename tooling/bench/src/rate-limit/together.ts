import { RateLimiterManager } from "@steward/rate-limit";
import { RedisPoolManager, redisRunner } from "@steward/redis";
import { startRedis } from "@steward/launchers";
import { RateLimiterMemory, RateLimiterRedis } from "rate-limiter-flexible";
import { lanes, type Group, type Opened, type Run } from "../arms/together.ts";
import { openRoutes } from "./routes.ts";

const AT_ONCE = 50;
/** So much that nothing is ever refused: what is measured is a decision. */
const LIMIT = 1_000_000_000;

/** A decision in memory, one in Redis beside a bare GET on the same connection, and a route with such a limit. */
export async function open(): Promise<Opened> {
  const server = await startRedis();
  const redis = await new RedisPoolManager({ url: server.url }).start();
  const policies = { api: { limit: LIMIT, windowMs: 3_600_000 }, exact: { limit: 1_000, windowMs: 1 } };
  const [memory, shared] = await Promise.all([
    new RateLimiterManager({ policies }).start(),
    new RateLimiterManager({ policies, redis: redisRunner(redis.client), timeoutMs: 5_000 }).start(),
  ]);
  const basis = { points: LIMIT, duration: 3_600 };
  const [inMemory, inRedis] = [
    new RateLimiterMemory(basis),
    new RateLimiterRedis({ ...basis, storeClient: redis.client }),
  ];
  const inRedisBy = (width: number): Readonly<Record<string, Run>> => ({
    Steward: lanes(width, () => shared.client.take("api", "ada")),
    "GET on the same client": lanes(width, () => redis.client.get("key")),
    "rate-limiter-flexible": lanes(width, () => inRedis.consume("ada")),
  });
  const routes = await openRoutes(redis.client, LIMIT);
  const groups: readonly Group[] = [
    {
      work: "a decision in memory",
      runs: {
        Steward: lanes(1, () => memory.client.take("api", "ada")),
        "Steward, each call kept": lanes(1, () => memory.client.take("exact", "ada")),
        "rate-limiter-flexible": lanes(1, () => inMemory.consume("ada")),
      },
    },
    { work: "a decision in Redis", runs: inRedisBy(1) },
    { work: `a decision in Redis, ${AT_ONCE} at once`, runs: inRedisBy(AT_ONCE) },
    ...routes.groups,
  ];
  return {
    groups,
    async [Symbol.asyncDispose]() {
      await routes[Symbol.asyncDispose]();
      await Promise.all([memory.stop(), shared.stop()]);
      await redis.stop();
      await server.stop();
    },
  };
}
