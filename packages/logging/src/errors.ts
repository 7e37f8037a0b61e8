/** Every error code of `@steward/logging`, with what it means. */
export const LOGGING_CODES = {
  LOG_WRITE_FAILED: "The destination of the log refused the last line; lines are lost until it takes them again.",
} as const;

/** A code that `@steward/logging` itself raises. */
export type LoggingCode = keyof typeof LOGGING_CODES;
