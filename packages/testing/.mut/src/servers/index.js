export { postgresForTests, redisForTests, } from "./for-tests.js";
export { startPostgres } from "./postgres.js";
export { findPostgres } from "./postgres-binaries.js";
export { findRedis, startRedis } from "./redis.js";
export { startRedisCluster } from "./redis-cluster.js";
export { startRedisSentinel } from "./redis-sentinel.js";
//# sourceMappingURL=index.js.map