import type { ServerResponse } from "node:http";
import type { ScopeNeeds } from "@steward/container/framework";
import type { InputDefinition } from "@steward/core";
import type { Needs, ValuesOf } from "@steward/core/container";
import type { AnyHandler } from "../life/exchange.ts";
import { from as anyFrom, type From } from "../route/from.ts";
import { handlerSpec, type HandlerOptions, type HandlerSpec } from "../route/handler-spec.ts";
import type { Provided } from "../route/request-inputs.ts";
import type { NodeRequest } from "./node-request.ts";

/** What {@link from} holds: what a request of any server has, with the types of `serve`. */
export interface NodeFrom extends Omit<From, "request" | "reply"> {
  /** The request itself. */
  readonly request: InputDefinition<NodeRequest, "request", "request:request">;
  /** Node's response, for dependencies that set headers or a status. What the handler sets later wins. */
  readonly reply: InputDefinition<ServerResponse, "request", "request:reply">;
}

/**
 * Everything that comes from a request, as needs.
 *
 * @example
 * ```ts
 * import { from } from "@steward/server/node";
 * const limit = from.query("limit", { type: "integer", minimum: 1, maximum: 100, default: 20 });
 * console.log(limit.is(5).value); // => 5
 * ```
 */
export const from: NodeFrom = anyFrom as never; // the life of a request of `serve` gives these

/**
 * Gives a handler its dependencies: application resources, what is made for each request, and inputs of the request,
 * in one graph. What it returns is the answer: text, bytes, a stream, a `Response`, and anything else as JSON.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 * @throws {NEED_INVALID} when a need is no definition, most often for want of an import.
 */
export function handler<const N extends Needs>(
  needs: N & ScopeNeeds<N, Provided>,
  answer: (values: ValuesOf<N>, request: NodeRequest, reply: ServerResponse) => unknown,
  options: HandlerOptions<ValuesOf<N>> = {},
): HandlerSpec {
  return handlerSpec(needs, answer as AnyHandler, options);
}
