import {
  assertShape,
  flag,
  func,
  funcOr,
  isFunction,
  listOf,
  milliseconds,
  OptionsError,
  required,
  shape,
  signal,
  text,
  type Rule,
  type Shape,
} from "@steward/core/driver";
import type { CacheSettings } from "../options.ts";
import { kindOf } from "../values/keys.ts";
import type { EntryOptions, InvalidateOptions, LoadOptions, LookOptions, WrapOptions } from "./types.ts";

const loadRules = {
  ttlMs: milliseconds(0),
  staleMs: milliseconds(0),
  absentMs: milliseconds(0),
  errorMs: milliseconds(0),
  loadTimeoutMs: milliseconds(),
};

/** What the options of `getOrLoad` and `getMany` must be. */
export const loadShape: Shape<LoadOptions<unknown>> = shape<LoadOptions<unknown>>(() => ({
  ...loadRules,
  tags: funcOr(listOf(text())),
  waitForRefresh: flag(),
  signal: signal(),
}));

/** What the options of `wrap` must be. */
export const wrapShape: Shape<WrapOptions<readonly never[], unknown>> = shape<WrapOptions<readonly never[], unknown>>(
  () => ({ ...loadRules, tags: funcOr(listOf(text())), waitForRefresh: flag(), key: required(func()) }),
);

/** What the options of `set` must be. */
export const setShape: Shape<EntryOptions & InvalidateOptions> = shape<EntryOptions & InvalidateOptions>(() => ({
  ttlMs: loadRules.ttlMs,
  staleMs: loadRules.staleMs,
  tags: listOf(text()),
  strict: flag(),
}));

/** What the options of `get` and `lookup` must be. */
export const lookShape: Shape<LookOptions> = shape<LookOptions>(() => ({ signal: signal() }));

/** What the options of an invalidation must be. */
export const voidShape: Shape<InvalidateOptions> = shape<InvalidateOptions>(() => ({ strict: flag() }));

/** Times of a load and of what becomes of it, in ms. */
export type Policy = Pick<CacheSettings, "ttlMs" | "staleMs" | "absentMs" | "errorMs" | "loadTimeoutMs">;

/** Times of one call: its own before those of the cache. The same object where it has none. */
export function policyOf(
  settings: Policy,
  given: Partial<Record<keyof Policy, number | undefined>> | undefined,
): Policy {
  if (given === undefined) return settings;
  return {
    ttlMs: given.ttlMs ?? settings.ttlMs,
    staleMs: given.staleMs ?? settings.staleMs,
    absentMs: given.absentMs ?? settings.absentMs,
    errorMs: given.errorMs ?? settings.errorMs,
    loadTimeoutMs: given.loadTimeoutMs ?? settings.loadTimeoutMs,
  };
}

/**
 * Refuses options of a call that are not as their shape says. Nothing to do where there are none.
 * @throws {OPTIONS_INVALID} listing every problem.
 */
export function assertCall(resource: string, of: Rule, given: object | undefined): void {
  if (given !== undefined) assertShape(resource, of, given);
}

/**
 * Refuses what should be a function and is none.
 * @throws {OPTIONS_INVALID} naming the argument.
 */
export function assertFunction(resource: string, path: string, given: unknown): void {
  if (isFunction(given)) return;
  throw new OptionsError([{ resource, path, message: `expected a function, received ${kindOf(given)}` }]);
}
