import type { BreakerOptions, PubSub, RedisRunner } from "@steward/core";
import {
  breakerSchema,
  countSchema,
  givenSchema,
  hasMethods,
  isStandardSchema,
  msSchema,
  shareSchema,
  type StandardSchema,
} from "@steward/core/driver";
import * as v from "valibot";
import type { Codec } from "./values/codec.ts";

/** How what is handed to several callers is protected from changes by one of them. */
export type Copy = "freeze" | "clone" | "none";

/** How a cache is shared by several processes. */
export interface RemoteOptions {
  /** Runs the scripts: the port of a Redis resource. */
  readonly redis: RedisRunner;
  /**
   * Announces what other instances make void: the pub/sub of the same Redis. Without it they may serve what they hold for
   * `localTtlMs`.
   */
  readonly bus?: PubSub | undefined;
  /** Before all keys, without braces. Default `steward:cache`. */
  readonly prefix?: string | undefined;
  /** Longest wait for Redis, in ms. Default 200. */
  readonly timeoutMs?: number | undefined;
  /** When Redis is not asked any more; `false` for never. Default: after one failure, until it answers a PING. */
  readonly breaker?: BreakerOptions | false | undefined;
  /** How long this process holds what Redis has, in ms. Default 30,000, at most `ttlMs`; 0: it holds nothing. */
  readonly localTtlMs?: number | undefined;
  /** Into how many slots of a Redis Cluster the keys are spread. The same in all instances. Default 1. */
  readonly shards?: number | undefined;
  /** What happens when a failover has lost the last invalidations. Default `"clear"`: all is made void. */
  readonly onFailover?: "clear" | "keep" | undefined;
}

/** Options of a {@link CacheManager}. */
export interface CacheOptions {
  /** How long a value is fresh, in ms. Default 300,000. */
  readonly ttlMs?: number | undefined;
  /** How long after that it may be given while a new one is loaded, and when loads fail, in ms. Default 0. */
  readonly staleMs?: number | undefined;
  /** By which share times vary at random, so that what was stored together does not end together. 0 to 1. Default 0.1. */
  readonly jitter?: number | undefined;
  /** How many entries this process holds at most, least recently used first out. Default 1,000. */
  readonly maxEntries?: number | undefined;
  /** How many bytes this process holds at most. Default 67,108,864 (64 MiB). */
  readonly maxBytes?: number | undefined;
  /**
   * Default `"freeze"`: all get the same object, so plain objects and lists are frozen. `"clone"`: each gets a copy.
   * `"none"`: all get the same object, and no one may change it.
   */
  readonly copy?: Copy | undefined;
  /** Longest load, in ms. Default 10,000. */
  readonly loadTimeoutMs?: number | undefined;
  /** How long after a refresh that failed no other is tried, in ms. Default 1,000. */
  readonly retryMs?: number | undefined;
  /** How long it is kept that there is none, in ms. Default 0: it is not kept. */
  readonly absentMs?: number | undefined;
  /** How long the error of a load is kept, in ms, in this process. Default 0: it is not kept. */
  readonly errorMs?: number | undefined;
  /** How many invalidated tags are remembered. One more makes all older entries void. Default 100,000. */
  readonly maxTags?: number | undefined;
  /** Shares the cache with other processes. Default: it is that of this process alone. */
  readonly remote?: RemoteOptions | undefined;
  /** Part of all keys in Redis: two releases with other shapes of values read nothing of one another. Default 1. */
  readonly version?: number | undefined;
  /** How values become bytes. Default: JSON. */
  readonly codec?: Codec | undefined;
  /** Checks what comes from Redis: a schema of valibot, zod and others. What it refuses is a miss. Default: none. */
  readonly schema?: StandardSchema | undefined;
  /** Values with more bytes are compressed with gzip. Default 4,096. */
  readonly compressAboveBytes?: number | undefined;
  /** Most bytes of a value, also when it is unpacked. Default 8,388,608 (8 MiB). */
  readonly maxValueBytes?: number | undefined;
  /** How long one waits for the load of another process before a second one may load, in ms. Default 1,000. */
  readonly waitMs?: number | undefined;
  /** How many invalidations are remembered while Redis is away. One more makes all void. Default 10,000. */
  readonly maxOwed?: number | undefined;
}

/** How a cache is shared, with the defaults. What is not ours to freeze is behind a function. */
export interface CheckedRemote {
  readonly redis: () => RedisRunner;
  readonly bus: (() => PubSub) | undefined;
  readonly prefix: string;
  readonly timeoutMs: number;
  readonly breaker: BreakerOptions | false | undefined;
  readonly localTtlMs: number;
  readonly shards: number;
  readonly onFailover: "clear" | "keep";
}

const REDIS = "the port of a Redis resource: redisRunner(redis)";

function isRunner(value: unknown): boolean {
  return hasMethods(value, "command", "script") && hasMethods((value as RedisRunner).binary, "script"); // has the methods
}

const remote: v.GenericSchema<unknown, CheckedRemote> = v.strictObject({
  redis: v.pipe(
    givenSchema<RedisRunner>(isRunner, REDIS),
    v.transform((redis) => () => redis),
  ),
  bus: v.optional(
    v.pipe(
      givenSchema<PubSub>((value) => hasMethods(value, "publish", "subscribe"), "a PubSub: redisPubSub(redis)"),
      v.transform((bus) => () => bus),
    ),
  ),
  prefix: v.optional(
    givenSchema<string>(
      (value) => typeof value === "string" && /^[^{}\s]+$/.test(value),
      "text without braces and spaces",
    ),
    "steward:cache",
  ),
  timeoutMs: v.optional(msSchema(), 200),
  breaker: v.optional(breakerSchema() as v.GenericSchema<unknown, BreakerOptions | false>),
  localTtlMs: v.optional(msSchema(0), 30_000),
  shards: v.optional(countSchema(1, 1_024), 1),
  onFailover: v.optional(v.picklist(["clear", "keep"]), "clear"),
}) as v.GenericSchema<unknown, CheckedRemote>; // what is optional is undefined

const entries = {
  ttlMs: v.optional(msSchema(), 300_000),
  staleMs: v.optional(msSchema(0), 0),
  jitter: v.optional(shareSchema(true), 0.1),
  maxEntries: v.optional(countSchema(1, 16_777_216), 1_000),
  maxBytes: v.optional(countSchema(1), 67_108_864),
  copy: v.optional(v.picklist(["freeze", "clone", "none"]), "freeze"),
  loadTimeoutMs: v.optional(msSchema(), 10_000),
  retryMs: v.optional(msSchema(0), 1_000),
  absentMs: v.optional(msSchema(0), 0),
  errorMs: v.optional(msSchema(0), 0),
  maxTags: v.optional(countSchema(1), 100_000),
  remote: v.optional(remote),
  version: v.optional(countSchema(0), 1),
  codec: v.optional(
    v.pipe(
      givenSchema<Codec>((value) => hasMethods(value, "encode", "decode"), "an object with encode and decode"),
      v.transform((codec) => () => codec),
    ),
  ),
  schema: v.optional(
    v.pipe(
      givenSchema<StandardSchema>(isStandardSchema, "a schema that follows Standard Schema"),
      v.transform((schema) => () => schema),
    ),
  ),
  compressAboveBytes: v.optional(countSchema(0), 4_096),
  maxValueBytes: v.optional(countSchema(1, 536_870_912), 8_388_608),
  waitMs: v.optional(msSchema(0), 1_000),
  maxOwed: v.optional(countSchema(1), 10_000),
} as const;

/** Options with their defaults. */
export interface CacheSettings {
  readonly ttlMs: number;
  readonly staleMs: number;
  readonly jitter: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly copy: Copy;
  readonly loadTimeoutMs: number;
  readonly retryMs: number;
  readonly absentMs: number;
  readonly errorMs: number;
  readonly maxTags: number;
  readonly remote: CheckedRemote | undefined;
  readonly version: number;
  readonly codec: (() => Codec) | undefined;
  readonly schema: (() => StandardSchema) | undefined;
  readonly compressAboveBytes: number;
  readonly maxValueBytes: number;
  readonly waitMs: number;
  readonly maxOwed: number;
}

/** How a cache is shared, with its ports and what follows from other options. */
export interface RemoteSettings extends Omit<CheckedRemote, "redis" | "bus" | "breaker"> {
  readonly redis: RedisRunner;
  readonly bus: PubSub | undefined;
  readonly breaker: BreakerOptions | false | undefined;
}

/** Settings of what is shared; `undefined` where nothing is. */
export function remoteOf({ remote, ttlMs }: CacheSettings): RemoteSettings | undefined {
  if (remote === undefined) return undefined;
  const { redis, bus, breaker, localTtlMs } = remote;
  return { ...remote, redis: redis(), bus: bus?.(), breaker, localTtlMs: Math.min(localTtlMs, ttlMs) };
}

/** What the options of a manager must be. */
export const cacheSchema: v.GenericSchema<unknown, CacheSettings> = v.strictObject(entries) as v.GenericSchema<
  unknown,
  CacheSettings
>; // what is optional is undefined
