import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { resource } from "@steward/core";
import { findRedis, startPostgres, startRedis, type PostgresServer, type RedisServer } from "@steward/launchers";
import type { FastifyBaseLogger } from "fastify";
import { log } from "./log.ts";
import { settings } from "../settings.ts";

const CHECK_MS = 500;

/** A server that this process started, or shares with another Clips. It comes back on the same port when it ends. */
class EmbeddedServer<S extends PostgresServer | RedisServer> {
  readonly url: string;
  readonly #startAgain: (ended: S, signal: AbortSignal) => Promise<S>;
  #server: S;

  constructor(server: S, startAgain: (ended: S, signal: AbortSignal) => Promise<S>) {
    this.url = server.url;
    this.#server = server;
    this.#startAgain = startAgain;
  }

  /** True when another process started it, and stops it. */
  get shared(): boolean {
    return "shared" in this.#server && this.#server.shared;
  }

  /** Looks after it until `signal` aborts. */
  async keepUp(name: string, log: Pick<FastifyBaseLogger, "warn">, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(CHECK_MS, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted || this.#server.running) continue;
      log.warn(`${name} has ended; starting it again`);
      try {
        this.#server = await this.#startAgain(this.#server, signal);
      } catch (error) {
        if (!signal.aborted) log.warn({ err: error }, `${name} did not start again`);
      }
    }
  }

  /** @throws when the process has ended. */
  check(): void {
    const { running, pid } = this.#server;
    if (!running) throw new Error(`the server process ${pid} has ended and is being started again`);
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }
}

/**
 * The Postgres that Clips starts where no `DATABASE_URL` is given. Its rows stay in the data folder. A second Clips
 * on the same folder uses the server of the first, leaves it alone, and takes over when the first one stops.
 */
export const postgresServer = resource("postgres", {
  needs: { settings, log },
  enabled: ({ settings }) => settings.databaseUrl === undefined,
  readiness: "startup",
  tags: ["embedded"],
  startTimeoutMs: 60_000,
  stopTimeoutMs: 10_000,
  start: async ({ settings }, { signal }) => {
    const options = { dataDir: join(settings.dataDir, "postgres"), database: "clips" };
    const server = await startPostgres({ ...options, signal });
    return new EmbeddedServer<PostgresServer>(server, async (ended, again) => {
      if (!ended.shared) await ended.stop();
      return startPostgres({ ...options, port: ended.port, signal: again });
    });
  },
  run: ({ log }, { signal, value }) => value.keepUp("Postgres", log, signal),
  probe: (server) => server.check(),
  stop: (server) => server.stop(),
});

/** The Redis that Clips starts where no `REDIS_URL` is given and there is a program for it. It keeps nothing. */
export const redisServer = resource("redis", {
  needs: { settings, log },
  enabled: ({ settings }) => settings.redisUrl === undefined && findRedis() !== undefined,
  readiness: "ignore",
  tags: ["embedded"],
  start: async (_needs, { signal }) => {
    const server = await startRedis({ password: randomBytes(24).toString("base64url"), signal });
    return new EmbeddedServer(server, async () => {
      await server.restart();
      return server;
    });
  },
  run: ({ log }, { signal, value }) => value.keepUp("Redis", log, signal),
  probe: (server) => server.check(),
  stop: (server) => server.stop(),
});
