export { answerOtherUpgrades } from "@steward/core/driver";
export { ConnectionRoom } from "./connections/connection-cap.ts";
export { closeWithConnection } from "./connections/waiting-responses.ts";
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
export { memoryIdempotency, type MemoryIdempotencyOptions } from "./idempotency/memory-store.ts";
export { idempotencyShape, type IdempotencyOptions } from "./idempotency/options.ts";
export { redisIdempotency, type RedisIdempotencyOptions } from "./idempotency/redis-store.ts";
export { sqlIdempotency, type SqlIdempotencyOptions } from "./idempotency/sql-store.ts";
export type { Parameter } from "./inputs/described.ts";
export type { InputPlace, Issue } from "./inputs/issue.ts";
export { urlencodedFields } from "./forms/urlencoded-form.ts";
export { formShape, type FileTarget, type FormOptions, type WantedFile } from "./forms/options.ts";
export type { FileOf, FileStream, StoredFile, UploadedFile } from "./forms/uploaded.ts";
export type { FileOptions } from "./inputs/file.ts";
export type { InputMaker, InputValue, RequestInput } from "./inputs/parameter.ts";
export { textOf } from "./inputs/text.ts";
export type { PasswordForm } from "./inputs/password-form.ts";
export { jsonSchemaOf, type InputSchema, type JsonSchema, type SchemaValue } from "./inputs/schema.ts";
export { Validators } from "./inputs/validator.ts";
export type { Background, BackgroundStats } from "./life/background.ts";
export type { AnyHandler, HttpRequest, RequestLog } from "./life/exchange.ts";
export type { SentAnswer } from "./life/kept.ts";
export { requestIdFrom, uuid7 } from "./life/request-id.ts";
export { RequestLife, type Needing } from "./life/request-life.ts";
export { discardStream } from "./life/stream-end.ts";
export { requestShare, Serving, type RunningSource, type ServingStats } from "./life/serving.ts";
export { RequestMetrics, type RequestFacts } from "./metrics/request-metrics.ts";
export { by, type By, type LimitKey } from "./limits/by.ts";
export { rateLimit, type LimiterLike, type RateLimitOptions } from "./limits/rate-limit.ts";
export { shedding, type SheddingOptions, type Unshed } from "./limits/shedding.ts";
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
  type ErrorAnswer,
  type ErrorBody,
} from "./problem/problem.ts";
export { problemSchema } from "./problem/problem-schema.ts";
export { refuseConnection } from "./problem/refuse-connection.ts";
export { events, stream, type ServerEvent, type StreamOptions } from "./reply/stream.ts";
export type { CacheResponseOptions } from "./responses/options.ts";
export { describe, type Demand, type Description } from "./route/describe.ts";
export { assertNeeds } from "./route/needs.ts";
export { allNeeds, handlerSpec, type HandlerOptions, type HandlerSpec } from "./route/handler-spec.ts";
export { parametrised } from "./route/parametrised.ts";
export { from, type From } from "./route/from.ts";
export { perRequest } from "./route/per-request.ts";
export type { Provided } from "./route/request-inputs.ts";
export { rootOf } from "./route/root.ts";
export { Route, type AppContext, type RouteOptions } from "./route/route.ts";
export type { SessionEnding } from "./life/session-ending.ts";
export { sessionCookie, type SessionKey } from "./route/session-key.ts";
export { boundSession } from "./security/bound-session.ts";
export { strictQuery } from "./route/strict-query.ts";
export { RequestEvents } from "./trace/request-events.ts";
export { Schemes, securityOf } from "./security/document.ts";
export type { OwnScheme } from "./security/own-scheme.ts";
export type { OAuthFlow, Scheme, SchemeDocument } from "./security/scheme.ts";
export type { Authorization, BasicCredentials, SchemeDefinition } from "./security/schemes.ts";
export { Scopes } from "./security/scopes.ts";
export {
  cookieSession,
  sessionPrincipal,
  type BegunCookie,
  type CookieSession,
  type CookieSessionOptions,
  type SessionKeeper,
} from "./security/cookie-session.ts";
export { csrf, type CsrfOptions } from "./security/csrf.ts";
export { hostsRule, misdirected } from "./security/host.ts";
export { permitted, type AccessLike, type PermittedOptions } from "./security/permitted.ts";
export { principal, type AuthenticatorLike, type PrincipalOptions } from "./security/principal.ts";
export { recent, type Proven, type RecentOptions } from "./security/recent.ts";
export { security, type Granting } from "./security/security.ts";
