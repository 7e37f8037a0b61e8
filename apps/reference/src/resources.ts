import { readFile } from "node:fs/promises";
import { optional } from "@steward/core";
import { cryptoBackend, sqlStore } from "@steward/crypto";
import { databasePool, pubSub, sqlRunner } from "@steward/database";
import { httpSession, type HttpTlsOptions } from "@steward/http";
import { redisPool } from "@steward/redis";
import { KEYSETS } from "./crypto/keysets.ts";
import { kek } from "./crypto/kek.ts";
import { inPackage } from "./folders.ts";
import { postgresServer, redisServer } from "./servers.ts";
import { settings, type Settings } from "./settings.ts";

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

/** The way to other services. */
export const http = httpSession("http", {
  needs: { settings },
  options: ({ settings }) => ({
    allowedOrigins: settings.allowedOrigins,
    timeoutMs: 10_000,
    maxResponseBytes: 1024 * 1024,
    userAgent: "clips/0.1",
    tls: () => certificates(settings.tls),
  }),
});

/** Read when the session starts and when it renews its connections, so a file may be replaced meanwhile. */
export async function certificates({ ca, cert, key }: Settings["tls"]): Promise<HttpTlsOptions> {
  const [caPem, certPem, keyPem] = await Promise.all(
    [ca, cert, key].map(async (file) => file && readFile(file, "utf8")),
  );
  return { ca: caPem, cert: certPem, key: keyPem };
}

/**
 * The keys of Clips. They are kept in the database, wrapped by the KEK, so all instances share them; each hears of
 * changes by NOTIFY. Without the right KEK the rest of Clips works: only what needs keys answers 503.
 */
export const crypto = cryptoBackend("crypto", {
  needs: { db, kek, settings },
  criticality: "optional",
  readiness: "startup",
  options: ({ db, kek, settings }) => ({
    keysets: KEYSETS,
    environment: settings.environment,
    store: sqlStore({ sql: sqlRunner(db), table: "clips_keysets", pubSub: pubSub(db) }),
    kek,
  }),
});
