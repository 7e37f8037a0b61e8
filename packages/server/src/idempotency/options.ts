import type { Definition, IdempotencyStore } from "@steward/core";
import { isDefinition } from "@steward/core/container";
import {
  flag,
  func,
  milliseconds,
  recognised,
  required,
  shape,
  wholeNumber,
  withMethods,
  type Shape,
} from "@steward/core/driver";

/** How a route keeps its answers, so that a request that is sent again is done once. */
export interface IdempotencyOptions<Values = unknown> {
  /** Where answers are kept: a store, or the definition of one. */
  readonly store: IdempotencyStore | Definition<IdempotencyStore>;
  /** How long an answer is kept, in ms. Default 24 hours. */
  readonly ttlMs?: number;
  /** `true`: a request without a key is refused with 400. Default: it is answered as if there were no such header. */
  readonly required?: boolean;
  /**
   * Who asks, such as the id of a user, given the values of the route's needs: no one gets the answer to another's
   * request. Default: the credentials of the request, so a new token is another client.
   */
  readonly principal?: (values: Values) => string;
  /** Longest body that is kept, in bytes. Default 256 KiB. */
  readonly maxBodyBytes?: number;
  /**
   * How long a request keeps its key while it is answered, in ms, should its process die. Default: the deadline of the
   * route and 30,000 more; 300,000 where it has none.
   */
  readonly lockMs?: number;
}

/** What a store has to have. */
const storeRule = withMethods("a store", "begin", "finish", "release");

/** What the options of a route's idempotency must be. */
export const idempotencyShape: Shape<IdempotencyOptions> = shape<IdempotencyOptions>(() => ({
  store: required(
    recognised(
      (value) => isDefinition(value) || storeRule(value) === undefined,
      "an idempotency store, or its definition",
    ),
  ),
  ttlMs: milliseconds(),
  required: flag(),
  principal: func(),
  maxBodyBytes: wholeNumber(0),
  lockMs: milliseconds(),
}));
