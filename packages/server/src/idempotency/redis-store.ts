import type { IdempotencyStore, RedisRunner } from "@steward/core";
import { assertShape, required, shape, text, withMethods, type Shape } from "@steward/core/driver";
import { answerText, entryOf } from "./stored-answer.ts";

/** How {@link redisIdempotency} is made. */
export interface RedisIdempotencyOptions {
  /** Runs the commands: the port of the Redis resource. */
  readonly redis: RedisRunner;
  /** Put in front of keys. Default `steward:idempotency:`. */
  readonly prefix?: string;
}

const redisShape: Shape<RedisIdempotencyOptions> = shape<RedisIdempotencyOptions>(() => ({
  redis: required(withMethods("the port of a Redis resource", "script")),
  prefix: text(true),
}));

const BEGIN = `
local found = redis.call("HMGET", KEYS[1], "fingerprint", "answer")
if found[1] then return found end
redis.call("HSET", KEYS[1], "owner", ARGV[1], "fingerprint", ARGV[2])
redis.call("PEXPIRE", KEYS[1], ARGV[3])
return false`;

const FINISH = `
if redis.call("HGET", KEYS[1], "owner") ~= ARGV[1] then return 0 end
redis.call("HSET", KEYS[1], "answer", ARGV[2])
return redis.call("PEXPIRE", KEYS[1], ARGV[3])`;

const RELEASE = `
if redis.call("HGET", KEYS[1], "owner") ~= ARGV[1] then return 0 end
return redis.call("DEL", KEYS[1])`;

/**
 * Keeps answers in Redis, each under a key of its own that expires.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function redisIdempotency(options: RedisIdempotencyOptions): IdempotencyStore {
  assertShape("redisIdempotency", redisShape, options);
  const { redis, prefix = "steward:idempotency:" } = options;
  return {
    async begin(key, { owner, fingerprint, lockMs }) {
      const found = await redis.script(BEGIN, [prefix + key], [owner, fingerprint, Math.ceil(lockMs)]);
      if (!Array.isArray(found)) return undefined;
      const [taken, answer] = found as [string, string | null]; // as the script gives them
      return entryOf(taken, answer);
    },
    async finish(key, owner, answer, ttlMs) {
      await redis.script(FINISH, [prefix + key], [owner, answerText(answer), Math.ceil(ttlMs)]);
    },
    async release(key, owner) {
      await redis.script(RELEASE, [prefix + key], [owner]);
    },
  };
}
