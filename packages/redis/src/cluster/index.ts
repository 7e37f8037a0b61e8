export { RedisClusterClient } from "./client.ts";
export { redisCluster, RedisClusterManager } from "./manager.ts";
export type { RedisClusterOptions } from "../options.ts";
