import { container } from "@steward/container";
import { resource } from "@steward/core";
import { redisPool } from "@steward/redis";
import { Queue, Worker } from "bullmq";
import { environment } from "../environment.ts";

const NAME = "mails";

/** What queue and worker share. BullMQ makes copies of it where something has to wait. */
export const redis = redisPool("redis", {
  needs: { environment },
  options: ({ environment }) => ({ url: environment.REDIS_URL }),
});

/** Where jobs are put. An object of any library is looked after this way: its start, its sign of life, its end. */
export const queue = resource("queue", {
  needs: { redis },
  start: async ({ redis }) => {
    const queue = new Queue<{ to: string }>(NAME, { connection: redis });
    await queue.waitUntilReady();
    return queue;
  },
  probe: (queue) => queue.getJobCounts(),
  stop: (queue) => queue.close(),
});

/** What does them. Its drain takes no new job and waits for those at work, before anything that they need stops. */
export const worker = resource("worker", {
  needs: { redis },
  start: async ({ redis }) => {
    const work = async ({ data }: { readonly data: { readonly to: string } }) => `sent to ${data.to}`;
    const worker = new Worker<{ to: string }, string>(NAME, work, { connection: redis });
    await worker.waitUntilReady();
    return worker;
  },
  drain: (worker) => worker.pause(),
  stop: (worker) => worker.close(),
});

export const app = container([queue, worker], { name: "bullmq" });
