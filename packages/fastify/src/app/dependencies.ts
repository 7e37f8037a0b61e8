import type { ScopeNeeds } from "@steward/container/framework";
import type { Need, Needs } from "@steward/core/container";
import type { FastifyInstance } from "fastify";
import { assertNeeds, type Provided } from "@steward/server";

const DEPENDENCIES = Symbol.for("steward.fastify.dependencies");

interface Depending {
  [DEPENDENCIES]?: readonly Need[];
}

/**
 * Dependencies of every route with needs that is added to an app, or to a plugin's part of it, from here on: resolved
 * before the route's own, outermost first, for what they do.
 *
 * @throws {ROUTE_INVALID} when they are no object. {NEED_INVALID} when one is no definition.
 *
 * @example
 * ```ts
 * import { fastify } from "fastify";
 * import { depend, from } from "@steward/fastify";
 * const app = fastify();
 * app.register(async (admin) => {
 *   depend(admin, { key: from.apiKey("header", "x-admin-key") });
 * });
 * await app.ready();
 * ```
 */
export function depend<const N extends Needs>(app: FastifyInstance, needs: N & ScopeNeeds<N, Provided>): void {
  assertNeeds("routes (`dependencies`, or depend)", needs);
  const holder = app as Depending; // a plugin's app inherits from its parent's, so it sees those too
  holder[DEPENDENCIES] = [...(holder[DEPENDENCIES] ?? []), ...Object.values<Need>(needs)];
}

/** The dependencies that routes of an app have. */
export function dependenciesOf(app: object): readonly Need[] {
  return (app as Depending)[DEPENDENCIES] ?? []; // set by `depend` alone
}
