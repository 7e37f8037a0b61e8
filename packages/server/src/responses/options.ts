import type { Definition, ResponseCache } from "@steward/core";
import { isDefinition } from "@steward/core/container";
import {
  flag,
  func,
  funcOr,
  listOf,
  milliseconds,
  recognised,
  required,
  shape,
  text,
  wholeNumber,
  withMethods,
  type Shape,
} from "@steward/core/driver";

/** How the answers of a route are cached. */
export interface CacheResponseOptions<Values = unknown> {
  /** Where answers are kept: a cache of `CachedResponse`, or the definition of one. */
  readonly cache: ResponseCache | Definition<ResponseCache, "application", string>;
  /**
   * For whom an answer is, given the values of the route's needs: all on which it depends besides the request's URL and
   * the headers and cookies that are needs, such as the id of a user and what that user may see.
   */
  readonly principal?: ((values: Values) => string) | undefined;
  /** `true`: everybody whom the route does not refuse gets the same answer. A route says this, or has a `principal`. */
  readonly shared?: true | undefined;
  /** How long an answer is fresh, in ms. Default: that of the cache. */
  readonly ttlMs?: number | undefined;
  /** How long after that it is given while one request makes a new one, and where that fails, in ms. Default: the cache's. */
  readonly staleMs?: number | undefined;
  /** Names by which answers are made void, as `cache.invalidate` does. */
  readonly tags?: readonly string[] | ((values: Values) => readonly string[]) | undefined;
  /** Headers of requests on which the answer depends besides those that are needs; they stand in `vary`. */
  readonly vary?: readonly string[] | undefined;
  /** Headers of the answer that are kept besides those that describe its body, such as `link`. */
  readonly headers?: readonly string[] | undefined;
  /** Longest body that is kept, in bytes. Default 1,048,576 (1 MiB). */
  readonly maxBodyBytes?: number | undefined;
  /** Names the route in keys, where two of one cache have the same path. Default: its path. */
  readonly name?: string | undefined;
}

const cacheRule = withMethods("a cache", "getOrLoad");
const headerName = recognised(
  (value) => typeof value === "string" && /^[!#$%&'*+.^_`|~\w-]+$/.test(value),
  "the name of a header",
);

/** What the options of cached answers must be. */
export const cacheResponseShape: Shape<CacheResponseOptions> = shape<CacheResponseOptions>(
  () => ({
    cache: required(
      recognised(
        (value) => isDefinition(value) || cacheRule(value) === undefined,
        "a cache of @steward/cache, or its definition",
      ),
    ),
    principal: func(),
    shared: flag(),
    ttlMs: milliseconds(),
    staleMs: milliseconds(0),
    tags: funcOr(listOf(text())),
    vary: listOf(headerName),
    headers: listOf(headerName),
    maxBodyBytes: wholeNumber(0),
    name: text(),
  }),
  ({ principal, shared }) =>
    (principal === undefined) === (shared === true)
      ? undefined
      : {
          path: "principal",
          message:
            "or shared must be given, one of them: `principal: ({ me }) => me.subject`, or `shared: true` where all get the same",
        },
);
