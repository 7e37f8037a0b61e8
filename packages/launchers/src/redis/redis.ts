import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StewardError } from "@steward/core";
import { assertShape } from "@steward/core/driver";
import { openFolder, removeFolder } from "../process/folder.ts";
import { launch, type Launched, type LaunchPlan } from "../process/launch.ts";
import { claimFolder } from "../process/ownership.ts";
import { MAX_PORT } from "../process/ports.ts";
import { diesWithParent } from "../process/parent-death.ts";
import { findProgram, isExecutable } from "../process/programs.ts";
import { redisShape, type RedisNodeOptions, type RedisOptions, type RedisSettings } from "./options.ts";
import { redisInfo } from "./resp.ts";
import { OwnedServer, type Server } from "../process/server.ts";
import type { ServerExit } from "../process/server-process.ts";

/** A running Redis or Valkey. */
export interface RedisServer extends Server {
  readonly password: string | undefined;
  /** Resolves when the present server process has ended. */
  readonly ended: Promise<ServerExit>;
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
 * import { startRedis } from "@steward/launchers";
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

// Another server may answer on a port that ours could not get; the process id shows it. While one reads its file of
// commands it answers about itself, and refuses all else.
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
