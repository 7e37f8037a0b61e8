import { StewardError, type StewardErrorDetails } from "@steward/core";

/** Every error code of `@steward/config`, with what it means. */
export const CONFIG_CODES = {
  CONFIG_SOURCE_UNREADABLE: "A source of settings cannot be read: missing, not permitted, or no answer in time.",
  CONFIG_PARSE_FAILED: "The syntax of a file with settings is wrong; the message says in which line.",
  CONFIG_RELOAD_REFUSED:
    "Settings that were read anew are wrong, or something cannot work with them; the old ones stay.",
  CONFIG_RELOAD_TIMEOUT: "Something has not prepared for new settings in time; the old ones stay.",
} as const;

/** A code that `@steward/config` itself raises. */
export type ConfigCode = keyof typeof CONFIG_CODES;

/** Makes an error of this package. */
export function configError(code: ConfigCode, message: string, details: StewardErrorDetails): StewardError {
  return new StewardError(code, message, details);
}
