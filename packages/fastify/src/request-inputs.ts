import { input, type InputDefinition } from "@steward/core";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Background } from "./background.ts";
import type { InputPlace } from "./inputs/issue.ts";
import { Scopes } from "./security/scopes.ts";
import { withSource } from "./source.ts";

/** The inputs that this package gives to every scope of a request. */
export type Provided =
  | "request:request"
  | "request:reply"
  | "request:background"
  | "request:requiredScopes"
  | "request:requestSignal"
  | `request:${InputPlace} ${string}`;

/** The request that is being answered; that of the handshake on a WebSocket route. */
export const request: InputDefinition<FastifyRequest, "request", "request:request"> = withSource(
  input<FastifyRequest>()("request", { lifetime: "request" }),
  { reader: () => (visit) => visit.request },
);

/** The reply, for dependencies that set headers or a status. What the handler sets later wins. */
export const reply: InputDefinition<FastifyReply, "request", "request:reply"> = withSource(
  input<FastifyReply>()("reply", { lifetime: "request" }),
  { reader: () => (visit) => visit.reply },
);

/** Aborts when the client has gone or the request's deadline has passed. */
export const requestSignal: InputDefinition<AbortSignal, "request", "request:requestSignal"> = withSource(
  input<AbortSignal>()("requestSignal", { lifetime: "request" }),
  { reader: () => (visit) => visit.signal },
);

/** Work for after the response. */
export const background: InputDefinition<Background, "request", "request:background"> = withSource(
  input<Background>()("background", { lifetime: "request" }),
  { reader: () => (visit) => visit.background },
);

const NONE = new Scopes([]);

/** The security scopes that `security(...)` asks for on the way to whoever needs this, outermost first. */
export const requiredScopes: InputDefinition<Scopes, "request", "request:requiredScopes"> = withSource(
  input<Scopes>()("requiredScopes", { lifetime: "request" }),
  { reader: () => () => NONE },
);
