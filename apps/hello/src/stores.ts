import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cache } from "@steward/cache";
import { optional, resource } from "@steward/core";
import { begin, databasePool } from "@steward/database";
import { redisPool, redisPubSub, redisRunner } from "@steward/redis";
import { settings } from "./settings.ts";

const folder = dirname(fileURLToPath(import.meta.resolve("#package")));

/** Postgres at `DATABASE_URL`; else one inside this process, with its files in `.data`. Migrations are applied at the start. */
export const db = databasePool("db", {
  needs: { settings },
  options: ({ settings: { databaseUrl } }) => ({
    ...(databaseUrl === undefined ? { embedded: { dataDir: join(folder, ".data/postgres") } } : { url: databaseUrl }),
    migrations: join(folder, "migrations"),
  }),
});

/** Redis, where `REDIS_URL` is given. It may be down: then notes are counted in the database. */
export const redis = redisPool("redis", {
  needs: { settings },
  enabled: ({ settings }) => settings.redisUrl !== undefined,
  criticality: "optional",
  options: ({ settings }) => ({ url: settings.redisUrl?.reveal(), keyPrefix: "hello:" }),
});

/** How many notes there are: in memory, and in Redis where there is one. */
export const counts = cache<number>()("counts", {
  needs: { redis: optional(redis) },
  options: ({ redis }) => ({
    ttlMs: 60_000,
    remote: redis === undefined ? undefined : { redis: redisRunner(redis), bus: redisPubSub(redis) },
  }),
});

/** The transaction of a request: committed before its answer is sent, rolled back by an error of the handler. */
export const tx = resource("tx", {
  lifetime: "handler",
  needs: { db, counts },
  async *start({ db, counts }) {
    await using transaction = await begin(db); // rolled back unless committed
    yield transaction;
    await transaction.commit();
    await counts.delete(["notes"]); // only now: what is loaded before sees the old rows
  },
});
