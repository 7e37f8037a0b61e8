import { Secret } from "@steward/core";
import { isPlainObject } from "@steward/core/driver";

/** What has nothing inside that could be named. */
type Whole =
  | string
  | number
  | boolean
  | bigint
  | symbol
  | null
  | undefined
  | Date
  | Secret
  | readonly unknown[]
  | ((...args: never[]) => unknown);

/** Settings cannot be changed, at any depth. */
export type Frozen<T> = T extends Whole
  ? T extends readonly (infer I)[]
    ? readonly Frozen<I>[]
    : T
  : { readonly [K in keyof T]: Frozen<T[K]> };

/**
 * The paths of settings: `port`, `database`, `database.url`. `infer P` is for compilers before 5.9, which without it look
 * for the end of the paths of a `T` that is not known yet.
 */
export type PathOf<T> = {
  [K in Exclude<keyof T & string, "get">]: NonNullable<T[K]> extends Whole
    ? K
    : PathOf<NonNullable<T[K]>> extends infer P extends string
      ? K | `${K}.${P}`
      : K;
}[Exclude<keyof T & string, "get">];

/** What stands at a path. */
export type ValueAt<T, P extends string> = P extends `${infer K}.${infer Rest}`
  ? K extends keyof T
    ? undefined extends T[K]
      ? ValueAt<NonNullable<T[K]>, Rest> | undefined
      : ValueAt<T[K], Rest>
    : never
  : P extends keyof T
    ? T[P]
    : never;

/** Settings: frozen, typed by their schema. */
export type Settings<T> = Frozen<T> & {
  /** What stands at a path, for paths that come from data: `get("database.url")`. */
  get<P extends PathOf<T>>(path: P): Frozen<ValueAt<T, P>>;
};

/** The value at some keys; `undefined` where there is none. */
export function valueAt(value: unknown, keys: readonly string[]): unknown {
  let at = value;
  for (const key of keys) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return undefined;
    at = Reflect.get(at, key) as unknown;
  }
  return at;
}

/** The value that users are handed: as the schema gives it, with `get`; secrets in `live` places always show the newest. */
export function settingsOf(
  raw: Readonly<Record<string, unknown>>,
  newest: (keys: readonly string[]) => unknown,
  isLive: (path: string) => boolean,
): Readonly<Record<string, unknown>> {
  const copy = following(raw, [], newest, isLive) as Record<string, unknown>; // of an object
  Object.defineProperty(copy, "get", { value: (path: string) => valueAt(copy, path.split(".")), enumerable: false });
  return Object.freeze(copy);
}

function following(
  value: unknown,
  keys: readonly string[],
  newest: (keys: readonly string[]) => unknown,
  isLive: (path: string) => boolean,
): unknown {
  if (value instanceof Secret)
    return isLive(keys.join(".")) ? new Secret(() => revealed(newest(keys) ?? value)) : value;
  if (!isPlainObject(value)) return value;
  const copy = Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, following(inner, [...keys, key], newest, isLive)]),
  );
  return keys.length === 0 ? copy : Object.freeze(copy);
}

function revealed(secret: unknown): string | Promise<string> {
  return secret instanceof Secret ? secret.reveal() : "";
}
