export { LAUNCHERS_CODES, type LaunchersCode } from "./errors.ts";
export {
  type AbsentServer,
  postgresForTests,
  type PresentServer,
  redisForTests,
  type ServerForTests,
} from "./for-tests.ts";
export { type PgBouncer, type PgBouncerOptions, findPgBouncer, startPgBouncer } from "./postgres/pgbouncer.ts";
export { findPostgres, type PostgresBinaries } from "./postgres/binaries.ts";
export type { PostgresOptions } from "./postgres/options.ts";
export { type PostgresServer, startPostgres } from "./postgres/postgres.ts";
export { freePorts } from "./process/ports.ts";
export type { KillSignal, Server } from "./process/server.ts";
export type { ServerExit } from "./process/server-process.ts";
export { type RedisCluster, startRedisCluster } from "./redis/cluster.ts";
export type { RedisGroup } from "./redis/group.ts";
export type { RedisClusterOptions, RedisOptions, RedisSentinelOptions, RedisSettings } from "./redis/options.ts";
export { findRedis, type RedisServer, startRedis } from "./redis/redis.ts";
export { type RedisSentinel, startRedisSentinel } from "./redis/sentinel.ts";
