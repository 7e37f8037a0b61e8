import { StewardError, systemClock, type Clock } from "@steward/core";
import { assertShape, shape, wholeNumber, withMethods, type Shape } from "@steward/core/driver";
import { USE_MS, type ApiKey, type ApiKeyStore } from "./store.ts";

/** How {@link memoryApiKeys} is made. */
export interface MemoryApiKeysOptions {
  /** Most keys; above them none is made. Default 10,000. */
  readonly maxKeys?: number | undefined;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
}

const memoryShape: Shape<MemoryApiKeysOptions> = shape<MemoryApiKeysOptions>(() => ({
  maxKeys: wholeNumber(1),
  clock: withMethods("a clock", "wallNow"),
}));

/**
 * Keeps API keys in the memory of one process: for tests. After a restart there are none.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { memoryApiKeys } from "@steward/auth";
 * console.log(await memoryApiKeys().list("ada")); // => []
 * ```
 */
export function memoryApiKeys(options: MemoryApiKeysOptions = {}): ApiKeyStore {
  assertShape("memoryApiKeys", memoryShape, options);
  const { maxKeys = 10_000, clock = systemClock } = options;
  const entries = new Map<string, { key: ApiKey; readonly hash: string }>();
  const isOver = ({ expiresAtMs = Number.POSITIVE_INFINITY }: ApiKey): boolean => expiresAtMs <= clock.wallNow();
  return {
    async create({ hash, ttlMs, ...rest }) {
      for (const [id, { key }] of entries) if (isOver(key)) entries.delete(id);
      if (entries.size >= maxKeys) throw new StewardError("OVERLOADED", `${maxKeys} API keys, as many as may be`);
      const createdAtMs = clock.wallNow();
      const expiresAtMs = ttlMs === undefined ? undefined : createdAtMs + ttlMs;
      entries.set(rest.id, { hash, key: { ...rest, createdAtMs, expiresAtMs, lastUsedAtMs: undefined } });
    },
    async find(id) {
      const entry = entries.get(id);
      if (entry === undefined || isOver(entry.key)) return undefined;
      const { lastUsedAtMs = Number.NEGATIVE_INFINITY } = entry.key;
      return { ...entry, isUseDue: clock.wallNow() - lastUsedAtMs >= USE_MS };
    },
    async used(id) {
      const entry = entries.get(id);
      if (entry !== undefined) entry.key = { ...entry.key, lastUsedAtMs: clock.wallNow() };
    },
    async list(subject) {
      const own = [...entries.values()].map(({ key }) => key).filter((key) => key.subject === subject && !isOver(key));
      return own.reverse();
    },
    async remove(subject, id) {
      return entries.get(id)?.key.subject === subject && entries.delete(id);
    },
  };
}
