import { resource, type Definition, type ResourceOptions, type StartContext, type Started } from "@steward/core";
import type { Needs, OpenOfAll, ValuesOf } from "@steward/core/container";

/** What the needs of a request's dependency must be. */
type RequestNeeds<N extends Needs> = NonNullable<ResourceOptions<unknown, N, "request", undefined>["needs"]>;

/**
 * A dependency that is made once for each request: the short form of a resource with the lifetime `request`.
 *
 * @throws {NEED_INVALID} when a need is not a definition, most often `undefined` from a circular import.
 *
 * @example
 * ```ts
 * import { from, perRequest } from "@steward/server";
 * const page = perRequest("page", { limit: from.query("limit", { type: "integer", default: 20 }) }, ({ limit }) => ({ limit }));
 * console.log(page.lifetime); // => request
 * ```
 */
export function perRequest<R, const N extends Needs>(
  name: string,
  needs: N & RequestNeeds<N>,
  start: (values: ValuesOf<N>, context: StartContext) => R,
): Definition<Started<R>, "request", OpenOfAll<N>> {
  return resource(name, { lifetime: "request", needs: needs as never, start: start as never }) as never; // the signature says what these are
}
