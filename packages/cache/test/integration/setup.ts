import type { RedisCommands, RedisRunner } from "@steward/core";
import type { ManagerContext } from "@steward/core/driver";
import { redisPubSub, RedisPoolManager, redisRunner, type RedisPoolOptions } from "@steward/redis";
import { until } from "@steward/testing";
import { CacheManager, type Cache, type CacheOptions, type RemoteOptions } from "../../src/index.ts";

/** An instance of a service: its own connections, its own memory. */
export interface Instance extends AsyncDisposable {
  readonly cache: Cache<unknown>;
  readonly manager: CacheManager;
  readonly redis: RedisPoolManager;
}

/** How an instance differs from the usual. */
export interface InstanceOptions {
  readonly redis?: RedisPoolOptions;
  readonly cache?: CacheOptions;
  readonly remote?: Partial<RemoteOptions>;
  readonly hasBus?: boolean;
  /** Changes the scripts of the protocol. */
  readonly change?: (script: string) => string;
  readonly context?: ManagerContext;
}

function changed(commands: RedisCommands, change: (script: string) => string): RedisCommands {
  return { ...commands, script: (source, keys, args) => commands.script(change(source), keys, args) };
}

/** A busy machine answers in this, in ms; with the default, what Redis holds would be loaded again there. */
const ANSWER_MS = 5_000;

/** Starts an instance, and waits until it hears the others. */
export async function instance(url: string, prefix: string, options: InstanceOptions = {}): Promise<Instance> {
  const { change = (script) => script, hasBus = true } = options;
  const redis = await new RedisPoolManager({ url, ...options.redis }).start();
  const runner = redisRunner(redis.client);
  const port: RedisRunner = { ...changed(runner, change), binary: changed(runner.binary, change) };
  const bus = hasBus ? redisPubSub(redis.client) : undefined;
  const remote: RemoteOptions = { redis: port, bus, prefix, timeoutMs: ANSWER_MS, ...options.remote };
  const manager = await new CacheManager({ ttlMs: 60_000, ...options.cache, remote }, options.context).start();
  await until(() => manager.trouble === undefined, "messages arrive");
  return {
    cache: manager.client,
    manager,
    redis,
    async [Symbol.asyncDispose]() {
      await manager.stop();
      await redis.stop();
    },
  };
}
