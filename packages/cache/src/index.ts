export type { StandardSchema } from "@steward/core/driver";
export type { CacheStats } from "./cache/counts.ts";
export type {
  Cache,
  EntryOptions,
  Invalidated,
  InvalidateOptions,
  Load,
  LoadMany,
  LoadOptions,
  Lookup,
  LookOptions,
  Wrapped,
  WrapOptions,
} from "./cache/types.ts";
export { CACHE_CODES, type CacheCode } from "./errors.ts";
export { cache, CacheManager } from "./manager.ts";
export type { CacheOptions, RemoteOptions } from "./options.ts";
export type { Codec } from "./values/codec.ts";
export type { CacheKey, CacheKeyPart } from "./values/keys.ts";
