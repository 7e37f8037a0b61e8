import { StewardError, type StewardErrorDetails } from "@steward/core";

/** Every error code of `@steward/cli`, with what it means. */
export const CLI_CODES = {
  CLI_USAGE: "The command or one of its options is unknown, or something is missing.",
  CLI_MODULE_NOT_FOUND: "There is no file of this name.",
  CLI_MODULE_FAILED: "The module was found and could not be loaded; the message says why.",
  CLI_TYPESCRIPT: "The module is TypeScript, which this Node does not run.",
  CLI_NO_CONTAINER: "The module exports no container, or several and it was not said which.",
  CLI_NO_SETTINGS: "Nothing in the container or the module was made by config(...).",
} as const;

/** A code that `@steward/cli` itself raises. */
export type CliCode = keyof typeof CLI_CODES;

/** Makes an error of this package. */
export function cliError(code: CliCode, message: string, details: StewardErrorDetails = {}): StewardError {
  return new StewardError(code, message, details);
}
