import { countSchema, givenSchema, hasMethods, msSchema, textSchema } from "@steward/core/driver";
import type { ErrorReporter } from "@steward/core";
import * as v from "valibot";

/** Options of an {@link ErrorReporterManager}. */
export interface ReporterOptions {
  /** Takes the errors. */
  readonly reporter: ErrorReporter;
  /** Time in which equal errors are one report with a count, in ms. Default 60,000. */
  readonly withinMs?: number | undefined;
  /** Most reports under way; further ones are counted as lost. Default 20. */
  readonly maxPending?: number | undefined;
  /** Names of fields that hold secrets, besides the usual ones of the log. */
  readonly redact?: readonly string[] | undefined;
}

/** Options that were checked. A reporter is not ours to freeze, so it is behind a function. */
export interface CheckedReporterOptions extends Omit<ReporterOptions, "reporter"> {
  readonly reporter: () => ErrorReporter;
}

/** What the options of a manager must be. */
export const reporterSchema: v.GenericSchema<unknown, CheckedReporterOptions> = v.strictObject({
  reporter: v.pipe(
    givenSchema<ErrorReporter>((value) => hasMethods(value, "report"), "an object with report(report)"),
    v.transform((reporter) => () => reporter),
  ),
  withinMs: v.optional(msSchema()),
  maxPending: v.optional(countSchema(1)),
  redact: v.optional(v.array(textSchema())),
});
