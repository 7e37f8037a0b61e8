import {
  countSchema,
  givenSchema,
  hasMethods,
  isFunction,
  msSchema,
  shareSchema,
  textSchema,
} from "@steward/core/driver";
import * as v from "valibot";
import { LISTENED, type Listened } from "./lines/events.ts";

/** How much is written: the named level and those above it. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

/** Where lines go. */
export interface LogDestination {
  /** Takes one line, its end included. */
  write(line: string): void;
  /** Writes what it still holds. Called at stop. */
  flushSync?(): void;
}

/** How long lines are held back. */
export interface BufferedOptions {
  /** Longest time for which a line is held back, in ms. Default 100. */
  readonly flushMs?: number | undefined;
  /** Size at which what is held back is written, in bytes of ASCII. Default 16,384. */
  readonly maxBytes?: number | undefined;
}

/** Of which calls to other services a line is written. */
export interface CallLineOptions {
  /** Share of the calls that end well; those that fail, or are answered by 400 or above, have a line always. Default 1. */
  readonly share?: number | undefined;
}

/** When equal lines become one with a count. */
export interface StormOptions {
  /** How many equal lines of one interval are written. Default 10. */
  readonly above?: number | undefined;
  /** Length of an interval, in ms. Default 10,000. */
  readonly withinMs?: number | undefined;
}

/** Options of a {@link LoggerManager}. */
export interface LoggerOptions {
  /**
   * The least level that is written. Default `info`. `setLevel` changes it. A function, such as
   * `() => settings.current.logLevel`, is asked again whenever a configuration has changed.
   */
  readonly level?: LogLevel | (() => LogLevel) | undefined;
  /** Where lines go. Default: stdout, each line written before the call returns. */
  readonly destination?: LogDestination | undefined;
  /**
   * Holds lines back and writes many at once. They are written at every end of the process but SIGKILL. Default: each
   * line is written before the call returns.
   */
  readonly buffered?: BufferedOptions | undefined;
  /**
   * Writes a line for calls to other services: over HTTP, by undici or `fetch`, and through the guards of resources (statements,
   * commands, methods; of one's own resources those that give `guarded` an `operation`). Default: none.
   */
  readonly calls?: CallLineOptions | undefined;
  /** Fields of every line, such as the name of the service. Default: none. */
  readonly fields?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** Names of fields that hold secrets, besides the usual ones. They match the end of a name too, in any spelling. */
  readonly redact?: readonly string[] | undefined;
  /** Names of fields that are shown although they look like those of secrets, such as `nextPageToken`. */
  readonly show?: readonly string[] | undefined;
  /** Which events of resources are written. Default: all of them. */
  readonly listen?: readonly Listened[] | undefined;
  /** When equal warnings and errors become one line with a count; `false` for never. */
  readonly storms?: StormOptions | false | undefined;
}

/** All levels, the least first. */
export const levelSchema: v.GenericSchema<unknown, LogLevel> = v.picklist([
  "trace",
  "debug",
  "info",
  "warn",
  "error",
  "fatal",
  "silent",
]);

function areFields(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((one) => ["string", "number", "boolean"].includes(typeof one));
}

/** Options that were checked. They are frozen, and a destination is not ours to freeze, so it is behind a function. */
export interface CheckedOptions extends Omit<LoggerOptions, "destination"> {
  readonly destination?: (() => LogDestination) | undefined;
}

/** What the options of a manager must be. */
export const loggerSchema: v.GenericSchema<unknown, CheckedOptions> = v.strictObject({
  level: v.optional(
    v.union([levelSchema, givenSchema<() => LogLevel>(isFunction, "a level, or a function that gives it")]),
  ),
  destination: v.optional(
    v.pipe(
      givenSchema<LogDestination>(
        (value) => hasMethods(value, "write"),
        "an object with write(line), such as a stream",
      ),
      v.transform((destination) => () => destination),
    ),
  ),
  buffered: v.optional(v.strictObject({ flushMs: v.optional(msSchema()), maxBytes: v.optional(countSchema(1)) })),
  calls: v.optional(v.strictObject({ share: v.optional(shareSchema(true)) })),
  fields: v.optional(
    givenSchema<Readonly<Record<string, string>>>(areFields, "an object of text, numbers and booleans"),
  ),
  redact: v.optional(v.array(textSchema())),
  show: v.optional(v.array(textSchema())),
  listen: v.optional(v.array(v.picklist(LISTENED))),
  storms: v.optional(
    v.union([
      v.literal(false),
      v.strictObject({ above: v.optional(countSchema(1)), withinMs: v.optional(msSchema()) }),
    ]),
  ),
});
