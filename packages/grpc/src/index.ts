export { GrpcChannel, type ServiceConstructor } from "./channel/channel.ts";
export { GRPC_CODES, type GrpcCode } from "./errors.ts";
export { checkHealth, watchHealth, type HealthCheckOptions } from "./health.ts";
export { grpcChannel, GrpcChannelManager, type GrpcChannelFactory } from "./manager.ts";
export type {
  GrpcChannelOptions,
  GrpcHedgingOptions,
  GrpcMetadata,
  GrpcRetryOptions,
  GrpcTlsOptions,
} from "./options.ts";
export type { ServingStatus } from "./proto/codec.ts";
export { loadProto, type LoadedProto } from "./proto/load.ts";
export { implement, type GrpcCallContext, type GrpcHandlers, type GrpcService } from "./server/handlers.ts";
export { grpcServer, GrpcServerManager } from "./server/manager.ts";
export { GrpcServer } from "./server/server.ts";
export type { GrpcServerOptions, GrpcServerTlsOptions } from "./server/options.ts";
export {
  GrpcStatusError,
  statusDetails,
  type StatusDetails,
  type StatusErrorOptions,
  type StatusName,
} from "./status.ts";
