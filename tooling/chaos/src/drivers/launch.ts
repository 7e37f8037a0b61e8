import { DatabaseBackend, databaseClient } from "./database.ts";
import type { Backend, Connect, DriverName } from "./driver.ts";
import { grpcClient } from "./grpc.ts";
import { httpClient } from "./http.ts";
import { ProgramBackend } from "./program.ts";
import { RedisBackend, redisClient } from "./redis.ts";
import { webSocketClient } from "./websocket.ts";

/** How each driver makes a client. */
export const CONNECT: Readonly<Record<DriverName, Connect>> = {
  http: httpClient,
  database: databaseClient,
  redis: redisClient,
  websocket: webSocketClient,
  grpc: grpcClient,
};

const LAUNCH: Readonly<Record<DriverName, () => Promise<Backend>>> = {
  http: () => ProgramBackend.launch("http", "http", httpClient),
  database: () => DatabaseBackend.launch(),
  redis: () => RedisBackend.launch(),
  websocket: () => ProgramBackend.launch("websocket", "ws", webSocketClient),
  grpc: () => ProgramBackend.launch("grpc", "http", grpcClient),
};

/** Starts the real server of a driver. */
export function launchBackend(driver: DriverName): Promise<Backend> {
  return LAUNCH[driver]();
}
