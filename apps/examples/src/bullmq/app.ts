import { container } from "@steward/container";
import { resource } from "@steward/core";
import { Queue, Worker } from "bullmq";
import { environment, type Environment } from "../environment.ts";

const NAME = "mails";

/** BullMQ opens connections of its own, and wants them to wait for ever. */
const connectionTo = ({ REDIS_URL }: Environment) => ({ url: REDIS_URL ?? "", maxRetriesPerRequest: null });

/** Where jobs are put. A client of any library is looked after this way: its start, its sign of life, its end. */
export const queue = resource("queue", {
  needs: { environment },
  start: async ({ environment }) => {
    const queue = new Queue<{ to: string }>(NAME, { connection: connectionTo(environment) });
    await queue.waitUntilReady();
    return queue;
  },
  probe: (queue) => queue.getJobCounts(),
  stop: (queue) => queue.close(),
});

/** What does them. Its drain takes no new job and waits for those at work, before anything that they need stops. */
export const worker = resource("worker", {
  needs: { environment },
  start: async ({ environment }) => {
    const work = async ({ data }: { readonly data: { readonly to: string } }) => `sent to ${data.to}`;
    const worker = new Worker<{ to: string }, string>(NAME, work, { connection: connectionTo(environment) });
    await worker.waitUntilReady();
    return worker;
  },
  drain: (worker) => worker.pause(),
  stop: (worker) => worker.close(),
});

export const app = container([queue, worker], { name: "bullmq" });
