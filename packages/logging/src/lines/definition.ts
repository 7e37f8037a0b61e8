import { defineDriver, type DriverFactory } from "@steward/core/driver";
import type { Logger } from "pino";
import { LoggerManager } from "../manager.ts";
import { loggerSchema, type LoggerOptions } from "../options.ts";

/**
 * Defines the log of an application. It is up before anything else of its container starts, and hears of
 * all the others until that container has stopped.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { container } from "@steward/container";
 * import { logger } from "@steward/logging";
 * import { memoryLog } from "@steward/logging/testing";
 * const destination = memoryLog();
 * const log = logger("log", { destination });
 * await using running = await container([log]).start();
 * running.get(log).info("hello");
 * console.log(destination.lines.at(-1)?.["msg"]); // => hello
 * ```
 */
export const logger: DriverFactory<LoggerOptions, Logger> = defineDriver<LoggerOptions, Logger>({
  kind: "logger",
  schema: loggerSchema,
  first: true,
  settings: { readiness: "ignore" },
  create: (options, context) => new LoggerManager(options, context),
});
