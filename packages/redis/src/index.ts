export { RedisClient } from "./client/client.ts";
export type { UseOptions } from "./client/router.ts";
export { REDIS_CODES, type RedisCode } from "./errors.ts";
export { redisPool, RedisPoolManager } from "./manager.ts";
export type { RedisAddress, RedisPoolOptions, RedisTls } from "./options.ts";
