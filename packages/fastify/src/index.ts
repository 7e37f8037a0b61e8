export type { AccessLogOptions } from "./app/access-log.ts";
export { depend } from "./app/dependencies.ts";
export type { MetricsRoute } from "./app/endpoints.ts";
export type { FormOptions } from "./app/forms.ts";
export { refusals } from "./app/refusals.ts";
export type { OpenApiOptions } from "./document/openapi.ts";
export { FASTIFY_CODES, type FastifyCode } from "./errors.ts";
export { inject, injectSocket, type HandlerOptions, type Injected, type SocketLike } from "./handler/handler.ts";
export { reply, request } from "./handler/inputs.ts";
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
  apiKey,
  background,
  basic,
  bearer,
  body,
  cookie,
  digest,
  file,
  form,
  header,
  httpAuthorization,
  HttpError,
  InvalidInput,
  oauth2,
  oauth2AuthorizationCode,
  oauth2Password,
  openIdConnect,
  parametrised,
  passwordForm,
  path,
  query,
  requestSignal,
  requiredScopes,
  Scopes,
  SECRET_PARAMETERS,
  security,
  SocketError,
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
  type ServingStats,
  type UploadedFile,
} from "@steward/server";
