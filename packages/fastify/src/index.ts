export type { AccessLogOptions } from "./app/access-log.ts";
export { depend } from "./app/dependencies.ts";
export type { MetricsRoute } from "./app/endpoints.ts";
export type { FormOptions } from "./app/forms.ts";
export { refusals } from "./app/refusals.ts";
export type { OpenApiOptions } from "./document/openapi.ts";
export { FASTIFY_CODES, type FastifyCode } from "./errors.ts";
export { handler, socketHandler, type HandlerOptions, type RouteHandler, type SocketLike } from "./handler/handler.ts";
export { from, type FastifyFrom } from "./handler/from.ts";
export type { ContainerSource, StewardOptions, StewardSettings } from "./options.ts";
export { steward, withInputs, type Steward } from "./plugin.ts";
export {
  FastifyServer,
  fastifyServer,
  type FastifyServerOptions,
  type ListenOptions,
  type RunningSource,
} from "./server/server.ts";
// What is the same on every server comes through here, so that an app imports one package.
export {
  events,
  HttpError,
  InvalidInput,
  parametrised,
  perRequest,
  Scopes,
  SECRET_PARAMETERS,
  security,
  sessionCookie,
  SocketError,
  stream,
  uuid7,
  type Authorization,
  type Background,
  type BackgroundStats,
  type BasicCredentials,
  type Granting,
  type HttpErrorOptions,
  type InputMaker,
  type InputOptions,
  type InputPlace,
  type InputSchema,
  type InputValue,
  type Issue,
  type JsonSchema,
  type MissingCredentials,
  type OAuthFlow,
  type PasswordForm,
  type Problem,
  type ProblemError,
  type ProblemOptions,
  type Provided,
  type RequestInput,
  type SchemaValue,
  type Scheme,
  type SchemeDefinition,
  type SchemeDocument,
  type SchemeOptions,
  type ServerEvent,
  type ServingStats,
  type SessionKey,
  type StreamOptions,
  type UploadedFile,
} from "@steward/server";
