import { cache, type RemoteOptions } from "@steward/cache";
import { optional, type CachedResponse } from "@steward/core";
import { redisPubSub, redisRunner, type RedisClient } from "@steward/redis";
import { cache as redis } from "../resources/stores.ts";
import type { Video } from "./table.ts";

/** A video as clients see it, and as it is kept in Redis: JSON has no dates. */
export interface ShownVideo extends Omit<Video, "createdAt"> {
  readonly createdAt: string;
}

/** Makes all pages of videos void. */
export const PAGES = "pages";

/** In memory, and in Redis too where there is one. */
function sharedBy(redis: RedisClient | undefined): RemoteOptions | undefined {
  return redis === undefined ? undefined : { redis: redisRunner(redis), bus: redisPubSub(redis) };
}

/** Single videos, by their ids. */
export const videoCache = cache<ShownVideo>()("videoCache", {
  needs: { redis: optional(redis) },
  options: ({ redis }) => ({ ttlMs: 60_000, remote: sharedBy(redis) }),
});

/** Answers of routes. */
export const answers = cache<CachedResponse>()("answers", {
  needs: { redis: optional(redis) },
  options: ({ redis }) => ({ ttlMs: 30_000, staleMs: 300_000, remote: sharedBy(redis) }),
});
