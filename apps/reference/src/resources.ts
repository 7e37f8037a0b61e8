import { optional } from "@steward/core";
import { databasePool } from "@steward/database";
import { httpSession } from "@steward/http";
import { redisPool } from "@steward/redis";
import { inPackage } from "./folders.ts";
import { postgresServer, redisServer } from "./servers.ts";
import { settings } from "./settings.ts";

/** Where Clips keeps its videos. Migrations are applied at start. */
export const db = databasePool("db", {
  needs: { settings, server: optional(postgresServer) },
  options: ({ settings, server }) => ({
    url: settings.databaseUrl ?? server?.url,
    applicationName: "clips",
    connectTimeoutMs: 3_000,
    queryTimeoutMs: 5_000,
    migrations: inPackage("migrations"),
  }),
});

/** Where Clips keeps copies of what is asked for often. It may be down, and may not exist at all. */
export const cache = redisPool("cache", {
  needs: { settings, server: optional(redisServer) },
  enabled: ({ settings, server }) => settings.redisUrl !== undefined || server !== undefined,
  criticality: "optional",
  tags: ["cache"],
  options: ({ settings, server }) => ({
    url: settings.redisUrl ?? server?.url,
    keyPrefix: "clips:",
    timeoutMs: 500,
  }),
});

/** The way to other services. */
export const http = httpSession("http", {
  needs: { settings },
  options: ({ settings }) => ({
    allowedOrigins: settings.allowedOrigins,
    timeoutMs: 10_000,
    maxResponseBytes: 1024 * 1024,
    userAgent: "clips/0.1",
  }),
});
