import { RedisPoolManager } from "@steward/redis";
import { startRedis } from "@steward/launchers";
import { Redis } from "ioredis";
import { lanes, type Opened } from "../arms/together.ts";

const AT_ONCE = 50;
const DEADLINE_MS = 2_000;
const PIPELINED = 100;

async function pipelined(redis: Redis): Promise<void> {
  const pipeline = redis.pipeline();
  for (let i = 0; i < PIPELINED; i++) pipeline.get("key");
  const replies = (await pipeline.exec()) ?? [];
  if (replies.length !== PIPELINED || replies.some(([error]) => error !== null)) throw new Error("a command failed");
}

/** Ours beside ioredis, without and with the same deadline. */
export async function open(): Promise<Opened> {
  const server = await startRedis();
  const { hostname, port } = new URL(server.url);
  const manager = await new RedisPoolManager({ url: server.url, timeoutMs: DEADLINE_MS }).start();
  const [plain, timed] = [{}, { commandTimeout: DEADLINE_MS }].map(
    (options) => new Redis(Number(port), hostname, options),
  );
  if (plain === undefined || timed === undefined) throw new Error("there are two");
  await plain.set("key", "v".repeat(64));
  return {
    groups: [
      {
        work: "redis, get",
        runs: {
          Steward: lanes(AT_ONCE, () => manager.client.get("key")),
          ioredis: lanes(AT_ONCE, () => plain.get("key")),
          "ioredis, same deadline": lanes(AT_ONCE, () => timed.get("key")),
        },
      },
      {
        work: "redis, get, one caller",
        runs: {
          Steward: lanes(1, () => manager.client.get("key")),
          ioredis: lanes(1, () => plain.get("key")),
          "ioredis, same deadline": lanes(1, () => timed.get("key")),
        },
      },
      {
        work: `redis, pipeline of ${PIPELINED}`,
        runs: {
          Steward: lanes(1, () => pipelined(manager.client)),
          ioredis: lanes(1, () => pipelined(plain)),
          "ioredis, same deadline": lanes(1, () => pipelined(timed)),
        },
      },
    ],
    async [Symbol.asyncDispose]() {
      await Promise.all([manager.stop(), plain.quit(), timed.quit()]);
      await server.stop();
    },
  };
}
