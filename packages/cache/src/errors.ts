import { StewardError, type StewardErrorDetails } from "@steward/core";

/** Every error code of `@steward/cache`, with what it means. */
export const CACHE_CODES = {
  CACHE_KEY_INVALID: "A key or a tag is of a wrong type, empty, or too long.",
  CACHE_LOAD_TIMEOUT: "A load did not end within its time; its signal was aborted.",
  CACHE_CODEC_FAILED:
    "A value is undefined, cannot be turned into bytes, read back or copied, or what a load of several keys gave is not one value for each key.",
  CACHE_VALUE_TOO_LARGE: "A value has more bytes than one entry may have.",
  CACHE_INVALIDATION_PENDING:
    "Redis did not take an invalidation: it holds in this process, and is sent as soon as Redis can be reached.",
} as const;

/** A code that `@steward/cache` itself raises. */
export type CacheCode = keyof typeof CACHE_CODES;

/** Makes an error of this package. */
export function cacheError(code: CacheCode, message: string, details: StewardErrorDetails): StewardError {
  return new StewardError(code, message, details);
}

/** The error of a `set` without a value. */
export function refusedUndefined(resource: string): StewardError {
  const message = `${resource}: \`set\` was given undefined, which says that there is none; delete the key, or set null`;
  return cacheError("CACHE_CODEC_FAILED", message, { resource });
}
