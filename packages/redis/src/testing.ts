import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StewardError } from "@steward/core";
import { defineTestDriver, type ManagerContext, type TestFactory } from "@steward/core/driver";
import type { RedisClient } from "./client/client.ts";
import { redisPool, RedisPoolManager } from "./manager.ts";
import type { RedisPoolOptions } from "./options.ts";

/** Options of a Redis for tests: all but where it is. */
export type TestRedisOptions = Omit<
  RedisPoolOptions,
  "url" | "host" | "port" | "path" | "client" | `sentinel${string}`
>;

const PROGRAMS = ["redis-server", "valkey-server"];
const POLL_MS = 10;

class TestRedisManager extends RedisPoolManager {
  readonly #folder: string;
  #server: ChildProcess | undefined;

  constructor(folder: string, options: TestRedisOptions, context: ManagerContext) {
    super({ ...options, path: join(folder, "redis.sock") }, context);
    this.#folder = folder;
  }

  protected override async onStart(signal: AbortSignal): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const server = (this.#server = await this.#launch());
    for (;;) {
      try {
        return await super.onStart(signal);
      } catch (error) {
        if (signal.aborted || server.exitCode !== null) throw error;
        await this.clock.sleep(POLL_MS, signal);
      }
    }
  }

  /** By a socket in a folder of its own, so that no port can be taken. */
  async #launch(): Promise<ChildProcess> {
    const settings = [
      "--port",
      "0",
      "--unixsocket",
      join(this.#folder, "redis.sock"),
      "--dir",
      this.#folder,
      "--save",
      "",
      "--appendonly",
      "no",
    ];
    for (const program of PROGRAMS) {
      // Detached: the Ctrl-C of a terminal is for the tests, which stop it in order.
      const child = spawn(program, settings, { stdio: "ignore", detached: true });
      if (
        await once(child, "spawn").then(
          () => true,
          () => false,
        )
      )
        return child;
    }
    throw new StewardError(
      "REDIS_CONNECT_FAILED",
      `${this.name}: no Redis to start: neither ${PROGRAMS.join(" nor ")} is on PATH`,
      { resource: this.name },
    );
  }

  protected override async onStop(signal: AbortSignal): Promise<void> {
    try {
      await super.onStop(signal);
    } finally {
      const server = this.#server;
      this.#server = undefined;
      if (server !== undefined && server.exitCode === null && server.kill("SIGKILL")) await once(server, "exit");
      await rm(this.#folder, { recursive: true, force: true });
    }
  }
}

/**
 * A Redis for tests: a real, empty server that starts and ends with its manager. Needs `redis-server` or
 * `valkey-server` on PATH. `testRedis.definition(cache)` takes the place of a Redis in a container.
 *
 * @example
 * ```ts
 * import { testRedis } from "@steward/redis/testing";
 * await using redis = await testRedis().start();
 * console.log(await redis.client.incr("visits")); // => 1
 * ```
 */
export const testRedis: TestFactory<TestRedisOptions, RedisClient, RedisPoolManager> = defineTestDriver({
  define: (name) => redisPool(name, {}),
  keep: (given) => Object.fromEntries(Object.entries(given).filter(([key]) => !isOfServer(key))),
  create: (options, context) =>
    new TestRedisManager(join(tmpdir(), `steward-redis-${randomUUID().slice(0, 8)}`), options, context),
});

/** Where the server is, and what proves who we are: the one of the test asks for nothing. */
function isOfServer(key: string): boolean {
  return /^(url|host|port|path|client|username|password|tls|sentinel.*)$/.test(key);
}
