import { optional } from "@steward/core";
import { databasePool } from "@steward/database";
import { redisPool } from "@steward/redis";
import { inPackage } from "../folders.ts";
import { settings } from "../settings.ts";
import { postgresServer, redisServer } from "./servers.ts";

/** Where Clips keeps its videos. Migrations are applied at start. */
export const db = databasePool("db", {
  needs: { settings, server: optional(postgresServer) },
  options: ({ settings, server }) => ({
    url: settings.databaseUrl ?? server?.url,
    applicationName: "clips",
    environment: settings.environment,
    connectTimeoutMs: 3_000,
    timeoutMs: 5_000,
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
    url: settings.redisUrl?.reveal() ?? server?.url,
    keyPrefix: "clips:",
    environment: settings.environment,
    timeoutMs: 500,
  }),
});
