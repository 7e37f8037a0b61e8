export { SECRET_PARAMETERS, type AccessLogOptions } from "./access-log.ts";
export type { Background, BackgroundStats } from "./background.ts";
export { depend } from "./dependencies.ts";
export { Doorway, doorway } from "./doorway.ts";
export type { MetricsRoute } from "./endpoints.ts";
export type { StewardStats } from "./entrance.ts";
export {
  FASTIFY_CODES,
  HttpError,
  InvalidInput,
  SocketError,
  type FastifyCode,
  type HttpErrorOptions,
} from "./errors.ts";
export type { FormOptions } from "./forms.ts";
export { inject, injectSocket, type Injected, type InjectOptions, type SocketLike } from "./inject.ts";
export type { InputPlace, Issue } from "./inputs/issue.ts";
export {
  body,
  cookie,
  file,
  form,
  header,
  path,
  query,
  type InputMaker,
  type InputOptions,
  type InputValue,
  type RequestInput,
  type UploadedFile,
} from "./inputs/parameter.ts";
export { passwordForm, type PasswordForm } from "./inputs/password-form.ts";
export type { InputSchema, JsonSchema, SchemaValue } from "./inputs/schema.ts";
export type { OpenApiOptions } from "./openapi.ts";
export { parametrised } from "./parametrised.ts";
export {
  steward,
  withInputs,
  type ContainerSource,
  type Steward,
  type StewardOptions,
  type StewardSettings,
} from "./plugin.ts";
export type { Problem, ProblemOptions } from "./problem.ts";
export { refusals } from "./refusals.ts";
export { uuid7 } from "./request-id.ts";
export { background, reply, request, requestSignal, requiredScopes, type Provided } from "./request-inputs.ts";
export type { OAuthFlow, Scheme, SchemeDocument } from "./security/scheme.ts";
export {
  apiKey,
  basic,
  bearer,
  digest,
  httpAuthorization,
  oauth2,
  oauth2AuthorizationCode,
  oauth2Password,
  openIdConnect,
  type Authorization,
  type BasicCredentials,
  type SchemeDefinition,
  type SchemeOptions,
} from "./security/schemes.ts";
export { Scopes } from "./security/scopes.ts";
export { security } from "./security/security.ts";
export { FastifyServer, fastifyServer, type FastifyServerOptions, type ListenOptions } from "./server.ts";
