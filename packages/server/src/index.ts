export {
  HttpError,
  InvalidInput,
  SERVER_CODES,
  serverError,
  SocketError,
  unauthenticated,
  type HttpErrorOptions,
  type ServerCode,
} from "./errors.ts";
export type { Parameter } from "./inputs/described.ts";
export type { InputPlace, Issue } from "./inputs/issue.ts";
export type { InputMaker, InputValue, RequestInput, UploadedFile } from "./inputs/parameter.ts";
export type { PasswordForm } from "./inputs/password-form.ts";
export { jsonSchemaOf, type InputSchema, type JsonSchema, type SchemaValue } from "./inputs/schema.ts";
export { Validators } from "./inputs/validator.ts";
export type { Background, BackgroundStats } from "./life/background.ts";
export type { AnyHandler, HttpRequest, RequestLog } from "./life/exchange.ts";
export { requestIdFrom, uuid7 } from "./life/request-id.ts";
export { RequestLife, type Needing } from "./life/request-life.ts";
export { requestShare, Serving, type RunningSource, type ServingStats } from "./life/serving.ts";
export { RequestMetrics, type RequestFacts } from "./metrics/request-metrics.ts";
export { loggable } from "./log/loggable.ts";
export { SECRET_PARAMETERS, urlMask } from "./log/url-mask.ts";
export {
  problemShape,
  requestIdRule,
  type InputOptions,
  type MissingCredentials,
  type SchemeOptions,
} from "./options.ts";
export {
  answerTo,
  bodyOf,
  clientStatusOf,
  INTERNAL,
  OF_SUCCESS,
  problemOf,
  type ForeignErrors,
  type Problem,
  type ProblemError,
  type ProblemOptions,
  type Told,
} from "./problem/problem.ts";
export { problemSchema } from "./problem/problem-schema.ts";
export { refuseConnection } from "./problem/refuse-connection.ts";
export { events, stream, type ServerEvent, type StreamOptions } from "./reply/stream.ts";
export { describe, type Demand, type Description } from "./route/describe.ts";
export { assertNeeds } from "./route/needs.ts";
export { parametrised } from "./route/parametrised.ts";
export { from, type From } from "./route/from.ts";
export { perRequest } from "./route/per-request.ts";
export type { Provided } from "./route/request-inputs.ts";
export { Route, type AppContext } from "./route/route.ts";
export { sessionCookie, type SessionKey } from "./route/session-key.ts";
export { strictQuery } from "./route/strict-query.ts";
export { Schemes, securityOf } from "./security/document.ts";
export type { OAuthFlow, Scheme, SchemeDocument } from "./security/scheme.ts";
export type { Authorization, BasicCredentials, SchemeDefinition } from "./security/schemes.ts";
export { Scopes } from "./security/scopes.ts";
export { security, type Granting } from "./security/security.ts";
