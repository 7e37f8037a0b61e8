export { logger } from "./definition.ts";
export { LOGGING_CODES, type LoggingCode } from "./errors.ts";
export type { LogFacts } from "./health.ts";
export type { Listened } from "./lines/events.ts";
export { LoggerManager } from "./manager.ts";
export type { LogDestination, LoggerOptions, LogLevel, StormOptions } from "./options.ts";
