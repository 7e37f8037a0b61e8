import { container } from "@steward/container";
import { resource } from "@steward/core";
import { redisPool } from "@steward/redis";
import { environment } from "../environment.ts";

/** Redis, whose commands have deadlines, and which is healed after a failover. */
export const redis = redisPool("redis", {
  needs: { environment },
  options: ({ environment }) => ({ url: environment.REDIS_URL }),
});

/** Takes jobs from a list, one after the other. At a stop the job at work is finished, and no other is taken. */
export const worker = resource("worker", {
  needs: { redis },
  start: () => ({ done: 0 }),
  run: async ({ redis }, { signal, value }) => {
    while (!signal.aborted) {
      // It is moved, not taken: what a crash leaves in "working" is not lost.
      const job = await redis.blmove("jobs", "working", "LEFT", "RIGHT", 1);
      if (job === null) continue;
      await redis.rpush("results", job.toUpperCase());
      await redis.lrem("working", 1, job);
      value.done += 1;
    }
  },
});

export const app = container([worker], { name: "worker" });
