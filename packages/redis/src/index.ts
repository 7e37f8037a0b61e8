export { RedisClient } from "./client/client.ts";
export type { UseOptions } from "./client/router.ts";
export { REDIS_CODES, type RedisCode } from "./errors.ts";
export { redisPool, RedisPoolManager } from "./manager.ts";
export { redisUrlProblem, type RedisAddress, type RedisPoolOptions } from "./options.ts";
export type { TlsOption, TlsSettings } from "@steward/core/driver";
export { redisPubSub } from "./ports/pub-sub.ts";
export { redisRunner } from "./ports/runner.ts";
