import { redisShape } from "./options.ts";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StewardError } from "@steward/core";
import { assertShape } from "@steward/core/driver";
import { openFolder, removeFolder } from "./folder.ts";
import { launch, type Launched, type LaunchPlan } from "./launch.ts";
import { claimFolder } from "./ownership.ts";
import { MAX_PORT } from "./ports.ts";
import { diesWithParent } from "./parent-death.ts";
import { findProgram, isExecutable } from "./programs.ts";
import { redisInfo } from "./resp.ts";
import { OwnedServer, type Server } from "./server.ts";
import type { ServerExit } from "./server-process.ts";

/** Lines of a Redis configuration; a list gives one line for each value. */
export type RedisSettings = Readonly<Record<string, string | number | readonly string[]>>;

/** How to start a Redis. */
export interface RedisOptions {
  /** The program. Default: `redis-server`, else `valkey-server`, from PATH. */
  readonly binary?: string;
  /** Port on 127.0.0.1. Without it a free one below 55,536. */
  readonly port?: number;
  /** Password of the default user. Default none. */
  readonly password?: string;
  /** Configuration lines, e.g. `{ maxmemory: "64mb" }`. Default: nothing is saved to disk. */
  readonly settings?: RedisSettings;
  /** From spawn to the first reply, in ms. Default 10,000. */
  readonly startTimeoutMs?: number;
  /** Gives the start up and leaves nothing behind. */
  readonly signal?: AbortSignal;
}

/** A running Redis or Valkey. */
export interface RedisServer extends Server {
  readonly password: string | undefined;
  /** Resolves when the present server process has ended. */
  readonly ended: Promise<ServerExit>;
}

/** What only our own launchers of clusters and sentinels set. @internal */
export interface RedisNodeOptions extends RedisOptions {
  readonly sentinel?: boolean;
  readonly maxPort?: number;
}

const START_TIMEOUT_MS = 10_000;

/** The Redis program on PATH (`redis-server`, else `valkey-server`), or `undefined`. */
export function findRedis(): string | undefined {
  return findProgram("redis-server") ?? findProgram("valkey-server");
}

/** @throws {SERVER_BINARY_MISSING} there is no such program. */
function requireRedis(binary?: string): string {
  const found = binary === undefined ? findRedis() : isExecutable(binary) ? binary : findProgram(binary);
  if (found !== undefined) return found;
  const where = binary === undefined ? "neither redis-server nor valkey-server is on PATH" : `${binary} cannot be run`;
  throw new StewardError(
    "SERVER_BINARY_MISSING",
    `no Redis to start: ${where}. Install one, or set REDIS_URL to a running server`,
  );
}

/**
 * Starts a real Redis (or Valkey) on 127.0.0.1 in a temporary folder and waits until it answers.
 *
 * It ends when this process ends (also after `kill -9`, on Linux) and not by the Ctrl-C of a terminal.
 *
 * @throws {SERVER_BINARY_MISSING} there is no Redis program.
 * @throws {SERVER_START_FAILED} it ended; the message holds its words.
 * @throws {SERVER_START_TIMEOUT} it did not answer in time.
 * @throws {SERVER_PORT_BUSY} `port` belongs to another program.
 *
 * @example
 * ```ts
 * import { startRedis } from "@steward/testing/servers";
 * await using server = await startRedis();
 * console.log(server.url); // redis://127.0.0.1:41234
 * ```
 */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  assertShape("startRedis", redisShape, options);
  return startRedisNode(options);
}

/** {@link startRedis} for any role. @internal */
export async function startRedisNode(options: RedisNodeOptions): Promise<RedisServer> {
  options.signal?.throwIfAborted();
  const binary = requireRedis(options.binary);
  const folder = await openFolder("redis");
  const release = (): Promise<void> => removeFolder(folder.path);
  try {
    await claimFolder(folder.path);
    const configFile = join(folder.path, "redis.conf");
    await writeFile(configFile, configuration(folder.path, options), { mode: 0o600 });
    const plan = launchPlan(binary, folder.path, configFile, options);
    return new OwnedRedis(plan, await launch(plan, options.signal), release, options.password);
  } catch (error) {
    await release();
    throw error;
  }
}

function configuration(folder: string, options: RedisNodeOptions): string {
  const lines: RedisSettings = {
    bind: "127.0.0.1",
    dir: quoted(folder),
    ...(options.sentinel === true ? {} : { save: '""', appendonly: "no" }),
    ...(options.password === undefined
      ? {}
      : { requirepass: quoted(options.password), masterauth: quoted(options.password) }),
    ...options.settings,
  };
  return Object.entries(lines)
    .flatMap(([name, value]) => [value].flat().map((one) => `${name} ${one}\n`))
    .join("");
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}

function launchPlan(binary: string, folder: string, configFile: string, options: RedisNodeOptions): LaunchPlan {
  const { sentinel = false, password } = options;
  return {
    name: sentinel ? "Redis Sentinel" : "Redis",
    port: options.port,
    maxPort: options.maxPort ?? MAX_PORT,
    startTimeoutMs: options.startTimeoutMs ?? START_TIMEOUT_MS,
    endSteps: [
      ["SIGTERM", 5_000],
      ["SIGKILL", 10_000],
    ],
    async command(port) {
      const words = [binary, configFile, "--port", String(port), ...(sentinel ? ["--sentinel"] : [])];
      // Unlike TERM, KILL also reaches a frozen server; there is nothing to save for it.
      return { command: await diesWithParent(words, "KILL"), cwd: folder, logFile: join(folder, "server.log") };
    },
    ready: (port, pid) => answers(port, pid, password),
  };
}

// Another server may answer on a port that ours could not get; the process id tells. While one reads its file of
// commands it tells about itself, and refuses all else.
async function answers(port: number, pid: number, password?: string): Promise<boolean> {
  const info = await redisInfo({ port, password }, "default").catch(() => undefined);
  return info?.get("process_id") === String(pid) && info.get("loading") !== "1";
}

class OwnedRedis extends OwnedServer implements RedisServer {
  readonly password: string | undefined;

  constructor(plan: LaunchPlan, launched: Launched, release: () => Promise<void>, password?: string) {
    super(plan, launched, release);
    this.password = password;
  }

  get url(): string {
    const credentials = this.password === undefined ? "" : `:${encodeURIComponent(this.password)}@`;
    return `redis://${credentials}127.0.0.1:${this.port}`;
  }
}
