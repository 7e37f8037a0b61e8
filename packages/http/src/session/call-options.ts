import {
  anything,
  assertShape,
  flag,
  func,
  milliseconds,
  recognised,
  rule,
  shape,
  text,
  type Rule,
} from "@steward/core/driver";
import type { Dispatcher } from "undici";
import type { HttpCallOptions } from "../exchange/lane.ts";

/** Options of a request by URL: those of undici, and ours. */
export type HttpRequestOptions<TOpaque = null> = Partial<Omit<Dispatcher.RequestOptions<TOpaque>, "origin" | "path">> &
  HttpCallOptions;

/** Options that every call may have besides those of undici. */
export const ours: Readonly<Record<"timeoutMs" | "streaming", Rule>> = {
  timeoutMs: milliseconds(0, Number.POSITIVE_INFINITY),
  streaming: flag(),
};

/** What undici takes as nothing. */
function orNull(inner: Rule): Rule {
  return rule(`${inner.expects} | null`, (value) => (value === null ? undefined : inner(value)));
}

const isSignal = (value: unknown): boolean =>
  typeof value === "object" && value !== null && ("addEventListener" in value || "on" in value);
/** What ends a call. */
export const abort = (): Rule => orNull(recognised(isSignal, "an AbortSignal"));

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
const isPair = (value: unknown): value is readonly [string, unknown] =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === "string";
const HEADERS = "an object, a list, or an iterable of pairs";
/** Headers of a call. What is iterable is looked at by {@link repeatable}. */
export const headers = (): Rule => orNull(recognised(isObject, HEADERS));
const noPair = shape<Record<string, unknown>>(() => ({ headers: recognised(isPair, HEADERS) }));

/** What decides over every call, also one that an interceptor makes. */
const decisive: Readonly<Record<string, Rule>> = {
  ...ours,
  headers: headers(),
  signal: abort(),
  idempotent: flag(),
  headersTimeout: orNull(milliseconds(0)),
  bodyTimeout: orNull(milliseconds(0)),
};
const DECISIVE = Object.entries(decisive);

/** Everything that undici and its interceptors know of a request, and ours. */
const requestRules = (): Readonly<Record<string, Rule>> => ({
  ...decisive,
  ...Object.fromEntries(
    ["origin", "path", "query", "body", "opaque", "responseHeaders"].map((key) => [key, anything()]),
  ),
  method: text(),
  blocking: flag(),
  reset: orNull(flag()),
  expectContinue: flag(),
  throwOnError: flag(),
  upgrade: anything(),
  maxRedirections: anything(),
  highWaterMark: anything(),
  typeOfService: anything(),
  onInfo: orNull(func()),
  objectMode: flag(),
});

/** What options a request may have where interceptors take these, besides undici's. */
export function requestShape(ofInterceptors: readonly string[]): Rule {
  return shape<Record<string, unknown>>(() => ({
    ...Object.fromEntries(ofInterceptors.map((key) => [key, anything()])),
    ...requestRules(),
  }));
}

/**
 * Refuses options of a request that are unknown or of a wrong type.
 * @throws {OPTIONS_INVALID} listing every problem.
 */
export function checkRequest(resource: string, shapeOf: Rule, options: object | undefined): void {
  if (options !== undefined) assertShape(`${resource}: request`, shapeOf, options);
}

/**
 * Refuses what decides over a call where it is of a wrong type: libraries and interceptors dispatch calls of their own.
 * @throws {OPTIONS_INVALID} naming the first.
 */
export function checkDispatch(resource: string, options: object): void {
  for (const [key, isRight] of DECISIVE) {
    const value: unknown = Reflect.get(options, key);
    if (value === undefined || isRight(value) === undefined) continue;
    assertShape(
      `${resource}: request`,
      shape<Record<string, unknown>>(() => decisive),
      { [key]: value },
    );
  }
}

/** Headers that were read from something iterable. undici takes them as it takes a Map. */
class HeaderPairs extends Set<readonly [string, unknown]> {}

/**
 * Options whose headers can be read any number of times: several here look at them, each attempt sends them, and what is
 * iterable (a generator) may give them but once. The very same object where they are a record or a list.
 * @throws {OPTIONS_INVALID} where an entry is no pair.
 */
export function repeatable<T extends object>(resource: string, options: T, call = "request"): T {
  const given: unknown = Reflect.get(options, "headers");
  if (!isObject(given) || Array.isArray(given) || !(Symbol.iterator in given) || given instanceof HeaderPairs)
    return options;
  const pairs = new HeaderPairs();
  for (const entry of given as Iterable<unknown>) {
    if (isPair(entry)) pairs.add([entry[0], entry[1]]);
    else assertShape(`${resource}: ${call}`, noPair, { headers: entry });
  }
  return { ...options, headers: pairs };
}
