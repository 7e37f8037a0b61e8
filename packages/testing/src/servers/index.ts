export {
  type AbsentServer,
  postgresForTests,
  type PresentServer,
  redisForTests,
  type ServerForTests,
} from "./for-tests.ts";
export { type PostgresOptions, type PostgresServer, startPostgres } from "./postgres.ts";
export { findPostgres, type PostgresBinaries } from "./postgres-binaries.ts";
export { findRedis, type RedisOptions, type RedisServer, type RedisSettings, startRedis } from "./redis.ts";
export { type RedisCluster, type RedisClusterOptions, type RedisGroup, startRedisCluster } from "./redis-cluster.ts";
export { type RedisSentinel, type RedisSentinelOptions, startRedisSentinel } from "./redis-sentinel.ts";
export type { KillSignal, Server } from "./server.ts";
export type { ServerExit } from "./server-process.ts";
