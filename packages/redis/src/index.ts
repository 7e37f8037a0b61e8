export { RedisClient } from "./client/client.ts";
export type { UseOptions } from "./client/router.ts";
export { RedisClusterClient } from "./cluster/client.ts";
export { redisCluster, RedisClusterManager } from "./cluster/manager.ts";
export { REDIS_CODES, type RedisCode } from "./errors.ts";
export { redisPool, RedisPoolManager } from "./manager.ts";
export type { RedisAddress, RedisClusterOptions, RedisPoolOptions, RedisTls } from "./options.ts";
export { redisPubSub } from "./ports/pub-sub.ts";
export { redisRunner } from "./ports/runner.ts";
