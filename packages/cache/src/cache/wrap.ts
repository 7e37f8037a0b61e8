import { assertShape } from "@steward/core/driver";
import { assertFunction, wrapShape } from "./call-options.ts";
import type { CacheKey } from "../values/keys.ts";
import type { Cache, Load, LoadOptions, WrapOptions, Wrapped } from "./types.ts";

/** A cache that checks options once for many calls. */
interface Loading<V> extends Cache<V> {
  load(key: CacheKey, load: Load<V | undefined>, options: LoadOptions<V>): Promise<V | undefined>;
}

/** A function whose results are cached. */
export function wrapped<V, Args extends readonly unknown[], R extends V | undefined>(
  resource: string,
  cache: Loading<V>,
  fn: (...args: Args) => Promise<R> | R,
  options: WrapOptions<Args, V>,
): Wrapped<Args, R> {
  assertFunction(resource, "fn", fn);
  assertShape(resource, wrapShape, options);
  const { key, ...rest } = options;
  const call = (...args: Args): Promise<R> => cache.load(key(...args), () => fn(...args), rest) as Promise<R>; // what `fn` gives is kept under its keys alone
  return Object.assign(call, {
    peek: (...args: Args): R | undefined => cache.peek(key(...args)) as R | undefined, // as above
    delete: (...args: Args) => cache.delete(key(...args)),
    expire: (...args: Args) => cache.expire(key(...args)),
  });
}
