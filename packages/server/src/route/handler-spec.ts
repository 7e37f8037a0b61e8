import type { Need, Needs } from "@steward/core/container";
import { anything, assertShape, flag, milliseconds, shape, type Shape } from "@steward/core/driver";
import type { AnyHandler } from "../life/exchange.ts";
import { idempotencyShape, type IdempotencyOptions } from "../idempotency/options.ts";
import { cacheResponseShape, type CacheResponseOptions } from "../responses/options.ts";
import { serverError } from "../errors.ts";
import { assertNeeds, kindOf } from "./needs.ts";

/** How a handler's dependencies are resolved. */
export interface HandlerOptions<Values = unknown> {
  /** Resolved before the needs, for what they do: no one gets their values. */
  readonly dependencies?: readonly Need[];
  /** `true`: what does not need one another is made at the same time. Default: one after the other, as written. */
  readonly parallel?: boolean;
  /** How long a request may take, in ms, before managed calls are given up; 0 for no deadline. Default: that of the app. */
  readonly timeoutMs?: number;
  /** Keeps answers, so that a request that is sent again with the same `idempotency-key` is done once. Default: not. */
  readonly idempotency?: IdempotencyOptions<Values>;
  /** Caches answers to GET and HEAD, which are looked up once every need is there. Default: not. */
  readonly cacheResponse?: CacheResponseOptions<Values>;
}

const handlerShape: Shape<HandlerOptions> = shape<HandlerOptions>(() => ({
  dependencies: anything(), // checked with the needs
  parallel: flag(),
  timeoutMs: milliseconds(0),
  idempotency: idempotencyShape,
  cacheResponse: cacheResponseShape,
}));

/** A handler with its needs, for the adapter of a framework. */
export interface HandlerSpec {
  readonly needs: Needs;
  readonly answer: AnyHandler;
  readonly options: HandlerOptions<never>;
}

/**
 * Checks what a framework's `handler` was given.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 * @throws {ROUTE_INVALID} when needs or dependencies are neither an object nor a list, or there is no function.
 * @throws {NEED_INVALID} when a need is no definition, most often for want of an import.
 */
export function handlerSpec(needs: Needs, answer: AnyHandler, options: HandlerOptions<never>): HandlerSpec {
  assertShape("a handler", handlerShape, options);
  const { dependencies = [] } = options;
  if (!Array.isArray(dependencies))
    throw serverError(
      "ROUTE_INVALID",
      `the dependencies of a handler are a list of definitions, such as [audit], not ${kindOf(dependencies)}`,
    );
  assertNeeds("a handler", needs);
  assertNeeds("a handler", { ...dependencies } as never); // it looks at the values alone
  if (typeof answer !== "function")
    throw serverError(
      "ROUTE_INVALID",
      `a handler is needs and a function, such as handler({ db }, ({ db }) => db.all()): the function is ${kindOf(answer)}`,
    );
  return { needs, answer, options };
}

/** The needs of a route: first those of the app, its parts and the route, for what they do; then the handler's own. */
export function allNeeds(outer: readonly Need[], { needs, options }: HandlerSpec): Needs {
  const before = [...outer, ...(options.dependencies ?? [])].map((need, i) => [`dependency ${i}`, need] as const);
  return before.length === 0 ? needs : { ...Object.fromEntries(before), ...needs };
}
