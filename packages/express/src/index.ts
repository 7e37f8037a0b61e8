export { expressServer, type ExpressServerOptions } from "./server.ts";
export { from, handler, problems, steward, type ExpressFrom, type StewardOptions } from "./steward.ts";
// What is the same on every server comes through here, so that an app imports one package.
export {
  by,
  events,
  HttpError,
  InvalidInput,
  parametrised,
  perRequest,
  principal,
  rateLimit,
  Scopes,
  security,
  sessionCookie,
  stream,
  type Background,
  type CacheResponseOptions,
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
export type {
  ContainerSource,
  ListenOptions,
  NodeApp,
  NodeServer,
  NodeSettings,
  ServerRunning,
} from "@steward/server/node";
