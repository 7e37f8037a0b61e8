/** Every error code of `@steward/grpc`, with what it means. */
export const GRPC_CODES = {
  GRPC_CONNECT_FAILED:
    "No connection was ready within `connectTimeoutMs`; the channel was built anew. The call never left.",
  GRPC_PROBE_FAILED: "The health check met an error instead of an answer.",
  GRPC_NOT_SERVING: "The server answers, but says that it is not serving.",
  GRPC_STATUS: "A handler ended its call with a status of its own; see `GrpcStatusError`.",
  GRPC_PLAINTEXT_REFUSED: "A call would send its authorization in plain text to another machine.",
  GRPC_LISTEN_FAILED: "The server could not listen on its address.",
  GRPC_METHOD_UNKNOWN: "A handler was given for a method that the service does not have.",
} as const;

/** A code that `@steward/grpc` itself raises. */
export type GrpcCode = keyof typeof GRPC_CODES;
