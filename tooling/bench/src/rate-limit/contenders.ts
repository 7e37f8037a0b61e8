import { RateLimiterManager } from "@steward/rate-limit";
import { RedisPoolManager, redisRunner } from "@steward/redis";
import { Redis } from "ioredis";
import { RateLimiterRedis } from "rate-limiter-flexible";

/** What every contender is to hold: so many in any second. */
export const PER_SECOND = 10;

/** Asks for one unit of a shared budget. */
export type Take = () => Promise<boolean>;

/** A limiter over a Redis, and how it ends. */
export interface Contender extends AsyncDisposable {
  readonly take: Take;
}

/** The contenders by name. */
export const CONTENDERS: Readonly<Record<string, (url: string) => Promise<Contender>>> = {
  Steward: async (url) => {
    const redis = await new RedisPoolManager({ url }).start();
    const policies = { api: [`${PER_SECOND}/second`, "100/minute"] };
    const limiter = await new RateLimiterManager({
      policies,
      redis: redisRunner(redis.client),
      timeoutMs: 5_000,
    }).start();
    return {
      take: async () => (await limiter.client.take("api", "ada")).allowed,
      [Symbol.asyncDispose]: async () => {
        await limiter.stop();
        await redis.stop();
      },
    };
  },
  "rate-limiter-flexible": async (url) => {
    const storeClient = new Redis(url);
    const limiter = new RateLimiterRedis({ storeClient, points: PER_SECOND, duration: 1 });
    return {
      take: () =>
        limiter.consume("ada").then(
          () => true,
          () => false,
        ),
      [Symbol.asyncDispose]: async () => void (await storeClient.quit()),
    };
  },
};
