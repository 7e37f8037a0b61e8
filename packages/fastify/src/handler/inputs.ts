import type { InputDefinition } from "@steward/core";
import { reply as anyReply, request as anyRequest } from "@steward/server";
import type { FastifyReply, FastifyRequest } from "fastify";

/** The request that is being answered; that of the handshake on a WebSocket route. */
export const request: InputDefinition<FastifyRequest, "request", "request:request"> = anyRequest as never; // the life of a request of Fastify's gives Fastify's

/** The reply, for dependencies that set headers or a status. What the handler sets later wins. */
export const reply: InputDefinition<FastifyReply, "request", "request:reply"> = anyReply as never; // as above
