import { RedisPoolManager, type RedisPoolOptions } from "@steward/redis";
import { startRedis, startRedisSentinel, type RedisSentinel, type RedisServer } from "@steward/launchers";
import { Redis, type RedisOptions } from "ioredis";
import {
  ignore,
  STOP_MS,
  TIMEOUT_MS,
  type ArmName,
  type ArmSettings,
  type Backend,
  type Client,
  type Connect,
} from "./driver.ts";

/** Counts outlive a kill: the file is written before the reply. */
const KEPT = { appendonly: "yes", appendfsync: "no" };

type Commands = Pick<Redis, "get" | "incr" | "blpop">;

function calls(redis: Commands): Pick<Client, "read" | "write" | "slow"> {
  return {
    read: () => redis.get("chaos"),
    write: (id) => redis.incr(id),
    slow: (ms) => redis.blpop("nothing", ms / 1_000),
  };
}

/** Without what decides the types of replies. */
type Settings = Omit<RedisOptions, "replyMapping">;

const TUNED: Settings = {
  commandTimeout: TIMEOUT_MS,
  socketTimeout: 3_000,
  connectTimeout: TIMEOUT_MS,
  maxRetriesPerRequest: 1,
};

function raw(target: Settings, arm: ArmName): Client {
  const isTuned = arm === "raw, tuned";
  const best: Settings = { ...TUNED, failoverDetector: target.sentinels !== undefined };
  const options: Settings = { ...target, ...(isTuned ? best : {}) };
  const redis = new Redis(options);
  redis.on("error", ignore);
  return {
    ...calls(redis),
    // It has no pool: all share one connection.
    held: (got) => redis.get("chaos").then(got),
    end: async () => redis.disconnect(),
    close: async () => (isTuned ? redis.disconnect() : redis.quit()),
    stats: () => ({}),
  };
}

async function ours(target: RedisPoolOptions, { maxConnections, maxPending }: ArmSettings): Promise<Client> {
  const bounds = maxPending === undefined ? {} : { maxPending, maxConcurrent: maxPending };
  const manager = new RedisPoolManager(
    { ...target, timeoutMs: TIMEOUT_MS, maxConnections, ...bounds },
    { stopTimeoutMs: STOP_MS },
  );
  await manager.start();
  return {
    ...calls(manager.client),
    held: (got) =>
      manager.client.use((connection) => {
        got();
        return connection.get("chaos");
      }),
    end: () => manager.stop({ signal: AbortSignal.timeout(100) }),
    close: () => manager.stop(),
    stats: () => manager.stats(),
  };
}

async function countsOf(server: { host: string; port: number }, prefix: string): Promise<ReadonlyMap<string, number>> {
  const redis = new Redis({ host: server.host, port: server.port });
  try {
    const keys = await redis.keys(`${prefix}*`);
    const values = keys.length === 0 ? [] : await redis.mget(keys);
    return new Map(keys.map((key, i) => [key, Number(values[i])]));
  } finally {
    redis.disconnect();
  }
}

/** A client of one Redis. */
export async function redisClient(arm: ArmName, url: string, settings: ArmSettings): Promise<Client> {
  const { hostname: host, port } = new URL(url);
  const target = { host, port: Number(port) };
  return arm === "ours" ? ours(target, settings) : raw(target, arm);
}

/** One Redis. */
export class RedisBackend implements Backend {
  readonly #server: RedisServer;

  private constructor(server: RedisServer) {
    this.#server = server;
  }

  static async launch(): Promise<RedisBackend> {
    return new RedisBackend(await startRedis({ settings: KEPT }));
  }

  get url(): string {
    return this.#server.url;
  }

  kill = (): Promise<void> => this.#server.kill();
  restart = (): Promise<void> => this.#server.restart();
  pause = (): Promise<void> => this.#server.pause();
  resume = (): Promise<void> => this.#server.resume();
  stop = (): Promise<void> => this.#server.stop();

  readonly connect = redisClient;

  executions(prefix: string): Promise<ReadonlyMap<string, number>> {
    return countsOf(this.#server, prefix);
  }
}

/** A master, a replica and three sentinels; what is broken is the master of the moment. */
export class SentinelBackend implements Backend {
  readonly url = undefined;
  readonly #group: RedisSentinel;
  #broken: RedisServer | undefined;

  private constructor(group: RedisSentinel) {
    this.#group = group;
  }

  static async launch(): Promise<SentinelBackend> {
    return new SentinelBackend(await startRedisSentinel({ settings: KEPT }));
  }

  async #master(): Promise<RedisServer> {
    const [master] = await this.#group.masters();
    if (master === undefined) throw new Error("there is no master");
    return master;
  }

  async kill(): Promise<void> {
    this.#broken = await this.#master();
    await this.#broken.kill();
  }

  async restart(): Promise<void> {
    await this.#broken?.restart();
  }

  async pause(): Promise<void> {
    this.#broken = await this.#master();
    await this.#broken.pause();
  }

  async resume(): Promise<void> {
    await this.#broken?.resume();
  }

  stop(): Promise<void> {
    return this.#group.stop();
  }

  readonly connect: Connect = async (arm, _url, settings) => {
    const { name, seeds } = this.#group;
    if (arm === "ours") return ours({ sentinels: seeds, sentinelName: name }, settings);
    return raw({ sentinels: [...seeds], name }, arm);
  };

  /** At the new master: the old one's last writes may be lost with it, for replication is asynchronous. */
  async executions(prefix: string): Promise<ReadonlyMap<string, number>> {
    const masters = await this.#group.masters();
    const now = masters.find((one) => one !== this.#broken) ?? (await this.#master());
    return countsOf(now, prefix);
  }
}
