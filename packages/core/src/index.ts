export {
  CHANNELS,
  type AuthEvent,
  type BackgroundEvent,
  type BreakerEvent,
  type ConfigEvent,
  type ContainerEvent,
  type ExposureEvent,
  type HealthEvent,
  type KeyEvent,
  type KeyOperation,
  type KeyUseEvent,
  type ProbeEvent,
  type RestartEvent,
  type ServingEvent,
  type ShutdownEvent,
  type StateEvent,
  type UnhandledEvent,
} from "./channels.ts";
export type { CallAbout, CallBegin, CallEnd, CallEvent } from "./trace/call-event.ts";
export { currentContext, runWithContext, setActor, type RequestContext } from "./context.ts";
export { input, resource, type ResourceOptions, type Started } from "./definition/definition.ts";
export {
  cached,
  current,
  fresh,
  lazy,
  optional,
  when,
  type CachedOptions,
  type Current,
  type KeyedOptions,
} from "./definition/edges.ts";
export { fallback } from "./definition/fallback.ts";
export { fromConfig } from "./definition/from-config.ts";
export { afterReply, generator, type AfterReply } from "./definition/generator.ts";
export type { Lifetime, ValueOf } from "./definition/need.ts";
export type { Criticality, Readiness, RerunOptions, StartRetryOptions } from "./definition/settings.ts";
export type { Binding, Definition, InputDefinition, StartContext, StopContext } from "./definition/types.ts";
export { isRetryable, isStewardError, StewardError, type StewardErrorDetails } from "./errors.ts";
export type { BreakerOptions } from "./guard/breaker.ts";
export { Guard, type GuardOptions } from "./guard/guard.ts";
export { guarded } from "./guard/guarded.ts";
export type { Call, CallOptions, GuardStats } from "./guard/options.ts";
export type { RetryOptions } from "./guard/retry.ts";
export type { HealthStatus } from "./health/status.ts";
export type { Phase } from "./lifecycle/phase.ts";
export type { HistogramValue, MetricSample, MetricsSource } from "./ports/metrics.ts";
export type {
  Audit,
  AuditEvent,
  CacheOptions,
  ErrorReport,
  ErrorReporter,
  IdempotencyEntry,
  IdempotencyStore,
  KeptAnswer,
  CachedResponse,
  ResponseCache,
} from "./ports/platform.ts";
export type {
  Authenticator,
  Credential,
  PasswordHashing,
  Principal,
  RateDecision,
  RateLimiter,
  SessionRecord,
  SessionStore,
  TokenKey,
  TokenKeys,
} from "./ports/security.ts";
export type { PubSub, RedisArgument, RedisCommand, RedisCommands, RedisRunner, SqlRunner } from "./ports/storage.ts";
export { grpcStatusOf, httpStatusOf, publicError, type PublicError } from "./public-error.ts";
export type { RequestEnd, RequestEvent, RequestSpan } from "./trace/request-event.ts";
export { Secret, type SecretSource } from "./secret.ts";
export { systemClock, type Clock, type Timer } from "./time/clock.ts";
