import type { InputDefinition } from "@steward/core";
import { from as anyFrom, type From } from "@steward/server";
import type { FastifyReply, FastifyRequest } from "fastify";

/** What {@link from} holds: what a request of any server has, with the types of Fastify. */
export interface FastifyFrom extends Omit<From, "request" | "reply"> {
  /** The request itself; that of the handshake on a WebSocket route. */
  readonly request: InputDefinition<FastifyRequest, "request", "request:request">;
  /** The reply, for dependencies that set headers or a status. What the handler sets later wins. */
  readonly reply: InputDefinition<FastifyReply, "request", "request:reply">;
}

/**
 * Everything that comes from a request, as needs.
 *
 * @example
 * ```ts
 * import { from } from "@steward/fastify";
 * const limit = from.query("limit", { type: "integer", minimum: 1, maximum: 100, default: 20 });
 * console.log(limit.is(5).value); // => 5
 * ```
 */
export const from: FastifyFrom = anyFrom as never; // the life of a request of Fastify's gives Fastify's
