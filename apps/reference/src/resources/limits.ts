import { optional } from "@steward/core";
import { by, rateLimit } from "@steward/fastify";
import { SIGN_IN_POLICIES } from "@steward/auth";
import { rateLimiter } from "@steward/rate-limit";
import { redisRunner } from "@steward/redis";
import { cache } from "./stores.ts";

/** How often one address may ask; all instances count together where there is a Redis. */
export const limiter = rateLimiter("limiter", {
  needs: { redis: optional(cache) },
  options: ({ redis }) => ({
    redis: redis && redisRunner(redis),
    prefix: "limits:",
    policies: {
      api: { limit: 6_000, windowMs: 60_000 },
      upload: "300/minute",
      token: "60/minute",
      register: "20/hour",
      ...SIGN_IN_POLICIES,
    },
  }),
});

/** For every route with needs. */
export const apiLimit = rateLimit(limiter, "api", { by: by.address });

/** For what adds something. */
export const uploadLimit = rateLimit(limiter, "upload", { by: by.address });

/** Before a token is looked at, so that no one tries many. */
export const tokenLimit = rateLimit(limiter, "token", { by: by.address });
