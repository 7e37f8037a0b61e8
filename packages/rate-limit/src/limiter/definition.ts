import type { Definition } from "@steward/core";
import { defineDriver, type DerivedOptions, type ManagedSettings } from "@steward/core/driver";
import type { Needs, OpenOfAll } from "@steward/core/container";
import type { Limiter } from "./limiter.ts";
import { RateLimiterManager } from "../manager.ts";
import { rateLimiterSchema, type Policies, type RateLimiterOptions } from "../options.ts";

type Reach<E> = [E] extends [undefined] ? "application" : "application?";

/** How rate limiters are defined: with literal options, or with `needs` and `options` computed from them. */
export interface RateLimiterFactory {
  <const N extends Needs, P extends Policies, E extends boolean | undefined = undefined>(
    name: string,
    given: DerivedOptions<RateLimiterOptions<P>, N, E>,
  ): Definition<Limiter<keyof P & string>, Reach<E>, OpenOfAll<N>>;
  <P extends Policies, E extends boolean | undefined = undefined>(
    name: string,
    given: RateLimiterOptions<P> & ManagedSettings<E>,
  ): Definition<Limiter<keyof P & string>, Reach<E>>;
}

/**
 * Defines a rate limiter. The names of its policies are part of its type.
 *
 * @throws {OPTIONS_INVALID} when the container is made, for a wrong literal option.
 *
 * @example
 * ```ts
 * import { container } from "@steward/container";
 * import { rateLimiter } from "@steward/rate-limit";
 * const limiter = rateLimiter("limiter", { policies: { upload: "100/hour", api: { limit: 600, windowMs: 60_000 } } });
 * await using running = await container([limiter]).start();
 * console.log((await running.get(limiter).take("api", "ada", { cost: 600 })).remaining); // => 0
 * console.log((await running.get(limiter).take("api", "ada")).allowed); // => false
 * ```
 */
export const rateLimiter: RateLimiterFactory = /* @__PURE__ */ defineDriver<RateLimiterOptions, Limiter>({
  kind: "rate limiter",
  schema: rateLimiterSchema,
  settings: { tags: ["security"] },
  create: (options, context) => new RateLimiterManager(options, context),
}) as RateLimiterFactory; // the driver forgets the names of one limiter's policies
