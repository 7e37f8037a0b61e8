import type { PubSub, RedisRunner } from "@steward/core";
import { assertShape, required, shape, text as textRule, withMethods } from "@steward/core/driver";
import { cryptoError } from "../../errors.ts";
import type { KeyStore } from "./store.ts";

/** How {@link redisStore} is made. */
export interface RedisStoreOptions {
  /** Runs the commands: the port of the Redis resource. The server must not evict: keys are not a cache. */
  readonly redis: Pick<RedisRunner, "command" | "script">;
  /** Before the name of every key. Default `steward:keyset:`. */
  readonly prefix?: string | undefined;
  /** Notifies other instances at once; without it they learn at their next look. */
  readonly pubSub?: PubSub | undefined;
}

const COMPARE_AND_SET = `
local now = redis.call('HGET', KEYS[1], 'revision')
if (now or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'blob', ARGV[3])
return 1`;

const REDIS_STORE = shape<RedisStoreOptions>(() => ({
  redis: required(withMethods("the port of a Redis resource", "command", "script")),
  prefix: textRule(true),
  pubSub: withMethods("a PubSub", "publish", "subscribe"),
}));

/**
 * Keeps keysets in hashes of Redis.
 * @throws {OPTIONS_INVALID} when an option is unknown or of a wrong type.
 */
export function redisStore(options: RedisStoreOptions): KeyStore {
  assertShape("redisStore", REDIS_STORE, options);
  const { redis, prefix = "steward:keyset:", pubSub } = options;
  const topic = `${prefix}changed`;
  return {
    kind: "redis",
    async load(name) {
      const reply = await redis.command("HMGET", prefix + name, "revision", "blob");
      const [revision, blob] = Array.isArray(reply) ? reply.map(text) : [];
      if (revision === undefined && blob === undefined) return undefined;
      if (revision === undefined || blob === undefined || !/^\d+$/.test(revision))
        throw cryptoError("CRYPTO_STORE_INVALID", `Redis holds something else than a keyset at "${prefix}${name}"`);
      return { revision: Number(revision), blob: Buffer.from(blob, "base64") };
    },
    async compareAndSet(name, expected, next) {
      const blob = Buffer.from(next.blob).toString("base64");
      const reply = await redis.script(
        COMPARE_AND_SET,
        [prefix + name],
        [String(expected), String(next.revision), blob],
      );
      if (Number(reply) !== 1) return false;
      await pubSub?.publish(topic, name).catch(() => {}); // they look by themselves too
      return true;
    },
    ...(pubSub === undefined ? {} : { watch: (listener) => pubSub.subscribe(topic, listener) }),
  };
}

function text(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return value instanceof Uint8Array ? Buffer.from(value).toString("utf8") : undefined;
}
