export { logger } from "./lines/definition.ts";
export { levelRoute, type LevelRouteOptions } from "./lines/level-route.ts";
export { LOGGING_CODES, type LoggingCode } from "./errors.ts";
export type { LogFacts } from "./health.ts";
export type { Listened } from "./lines/events.ts";
export { LoggerManager } from "./manager.ts";
export type {
  BufferedOptions,
  CallLineOptions,
  LogDestination,
  LoggerOptions,
  LogLevel,
  StormOptions,
} from "./options.ts";
export { errorReporter } from "./reports/definition.ts";
export { ErrorReporterManager } from "./reports/manager.ts";
export type { ReporterOptions } from "./reports/options.ts";
