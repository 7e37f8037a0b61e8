import type { ErrorReporter } from "@steward/core";
import { defineDriver, type DriverFactory } from "@steward/core/driver";
import { ErrorReporterManager } from "./manager.ts";
import { reporterSchema, type ReporterOptions } from "./options.ts";

/**
 * Defines what takes errors that no one handled to where people look at them.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { container } from "@steward/container";
 * import { errorReporter } from "@steward/logging";
 * const errors = errorReporter("errors", { reporter: { report: ({ message }) => console.error(message) } });
 * await using running = await container([errors]).start();
 * ```
 */
export const errorReporter: DriverFactory<ReporterOptions, ErrorReporter> = defineDriver<
  ReporterOptions,
  ErrorReporter
>({
  kind: "error-reporter",
  schema: reporterSchema,
  first: true,
  settings: { readiness: "ignore" },
  create: (options, context) => new ErrorReporterManager(options, context),
});
