export { StewardLife } from "./life.ts";
export { StewardModule, type NestSettings, type StewardModuleOptions } from "./module.ts";
export { from, Needs, token, type NestFrom } from "./needs.ts";
export { nestServer, type NestServerOptions } from "./server.ts";
// What is the same on every server comes through here, so that an app imports one package.
export {
  by,
  events,
  HttpError,
  InvalidInput,
  parametrised,
  perRequest,
  cookieSession,
  csrf,
  principal,
  sessionPrincipal,
  rateLimit,
  recent,
  Scopes,
  security,
  sessionCookie,
  stream,
  type Background,
  type CacheResponseOptions,
  type CookieSession,
  type CookieSessionOptions,
  type CsrfOptions,
  type RecentOptions,
  type SessionKeeper,
  type Granting,
  type HandlerOptions,
  type HttpErrorOptions,
  type InputOptions,
  type LimitKey,
  type Provided,
  type RateLimitOptions,
  type RequestInput,
  type ServerEvent,
  type StreamOptions,
} from "@steward/server";
export type { ListenOptions, NodeApp, NodeServer, NodeSettings, ServerRunning } from "@steward/server/node";
