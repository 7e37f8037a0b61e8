import { input, type InputDefinition } from "@steward/core";
import type { HttpRequest } from "../life/exchange.ts";
import type { Background } from "../life/background.ts";
import type { InputPlace } from "../inputs/issue.ts";
import { Scopes } from "../security/scopes.ts";
import { withSource } from "./source.ts";

/** The inputs that this package gives to every scope of a request. */
export type Provided =
  | "request:request"
  | "request:reply"
  | "request:background"
  | "request:requiredScopes"
  | "request:requestSignal"
  | "request:responseHeaders"
  | `request:${InputPlace} ${string}`;

/** The request that is being answered; that of the handshake on a WebSocket route. A framework gives it its own type. */
export const request: InputDefinition<HttpRequest, "request", "request:request"> = withSource(
  input<HttpRequest>()("request", { lifetime: "request" }),
  { reader: () => (life) => life.request },
);

/** The reply, for dependencies that set headers or a status. A framework gives it its own type. */
export const reply: InputDefinition<unknown, "request", "request:reply"> = withSource(
  input<unknown>()("reply", { lifetime: "request" }),
  { reader: () => (life) => life.reply },
);

/** Aborts when the client has gone or the request's deadline has passed. */
export const requestSignal: InputDefinition<AbortSignal, "request", "request:requestSignal"> = withSource(
  input<AbortSignal>()("requestSignal", { lifetime: "request" }),
  { reader: () => (life) => life.signal },
);

/** Work for after the response. */
export const background: InputDefinition<Background, "request", "request:background"> = withSource(
  input<Background>()("background", { lifetime: "request" }),
  { reader: () => (life) => life.background },
);

const NONE = new Scopes([]);

/** The security scopes that `security(...)` asks for above what needs this, outermost first. */
export const requiredScopes: InputDefinition<Scopes, "request", "request:requiredScopes"> = withSource(
  input<Scopes>()("requiredScopes", { lifetime: "request" }),
  { reader: () => () => NONE },
);

/** Headers of the answer, whatever it becomes: a success, an error or a stream. */
export interface ResponseHeaders {
  /** Sets one, unless the answer has begun. What the handler sets later wins. */
  set(name: string, value: string): void;
  /** Adds one beside others of the same name, such as `set-cookie`, unless the answer has begun. */
  append(name: string, value: string): void;
}

/** Headers of the answer. */
export const responseHeaders: InputDefinition<ResponseHeaders, "request", "request:responseHeaders"> = withSource(
  input<ResponseHeaders>()("responseHeaders", { lifetime: "request" }),
  {
    reader: () => (life) =>
      ({
        set: (name, value) => life.setHeader(name, value),
        append: (name, value) => life.appendHeader(name, value),
      }) satisfies ResponseHeaders,
  },
);
