import fastifyRateLimit from "@fastify/rate-limit";
import { container } from "@steward/container";
import { by, handler, rateLimit, steward } from "@steward/fastify";
import { rateLimiter } from "@steward/rate-limit";
import { redisRunner, type RedisClient } from "@steward/redis";
import { fastify, type FastifyInstance } from "fastify";
import { lanes, type Group, type Opened, type Run } from "../arms/together.ts";

const AT_ONCE = 20;
const WINDOW_MS = 3_600_000;
const answer = (): { readonly ok: true } => ({ ok: true });

/** A route of Fastify without a limit, with ours and with that of its plugin: counted in memory, and in Redis. */
export async function openRoutes(redis: RedisClient, limit: number): Promise<Opened> {
  const apps: FastifyInstance[] = [];
  const request = async (app: FastifyInstance): Promise<Run> => {
    apps.push(app);
    const { statusCode, headers } = await app.inject("/");
    if (statusCode !== 200) throw new Error(`a bench got ${statusCode}`);
    if (apps.length > 2 && !Object.keys(headers).some((name) => name.includes("ratelimit")))
      throw new Error("nothing was counted");
    return lanes(AT_ONCE, () => app.inject("/"));
  };
  const [bare, plain] = [await request(bareApp()), await request(await withSteward())];
  const group = async (where: string, client?: RedisClient): Promise<Group> => ({
    work: `a request to a route, counted in ${where}`,
    runs: {
      Steward: await request(await withSteward({ limit, client })),
      "@fastify/rate-limit": await request(await withPlugin(limit, client)),
      "Steward, no limit": plain,
      "Fastify, no limit": bare,
    },
  });
  return {
    groups: [await group("memory"), await group("Redis", redis)],
    async [Symbol.asyncDispose]() {
      for (const app of apps) await app.close();
    },
  };
}

function bareApp(): FastifyInstance {
  const app = fastify();
  app.get("/", answer);
  return app;
}

async function withPlugin(limit: number, redis: RedisClient | undefined): Promise<FastifyInstance> {
  const app = fastify();
  await app.register(fastifyRateLimit, { max: limit, timeWindow: WINDOW_MS, ...(redis && { redis }) });
  app.get("/", answer);
  return app;
}

interface Limited {
  readonly limit: number;
  readonly client: RedisClient | undefined;
}

async function withSteward(limited?: Limited): Promise<FastifyInstance> {
  const app = fastify();
  if (limited === undefined) {
    await app.register(steward, { container: container([]) });
    app.get("/", handler({}, answer));
    return app;
  }
  const limiter = rateLimiter("limiter", {
    policies: { api: { limit: limited.limit, windowMs: WINDOW_MS } },
    timeoutMs: 5_000,
    redis: limited.client && redisRunner(limited.client),
  });
  await app.register(steward, { container: container([limiter]) });
  app.get("/", handler({ limit: rateLimit(limiter, "api", { by: by.address }) }, answer));
  return app;
}
