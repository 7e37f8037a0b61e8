export { sharedAbortController } from "./time/abort.ts";
export type { BreakerState } from "./guard/breaker-state.ts";
export { Breaker, type BreakerOptions, type BreakerStats } from "./guard/breaker.ts";
export {
  CHANNELS,
  isHeard,
  publishConfig,
  publishEvent,
  publishServing,
  type BackgroundEvent,
  type BreakerEvent,
  type CallEvent,
  type ConfigEvent,
  type ContainerEvent,
  type ContainerEvents,
  type ExposureEvent,
  type HealthEvent,
  type ProbeEvent,
  type RestartEvent,
  type ServingEvent,
  type ShutdownEvent,
  type StateEvent,
} from "./channels.ts";
export { Exposures, isLoopback, type Exposure } from "./exposure.ts";
export { MAX_TIMER_MS, sleepOn, systemClock, type Clock, type Timer, type TimerOptions } from "./time/clock.ts";
export { currentContext, runWithContext, type RequestContext } from "./context.ts";
export { input, isDefinition, resource, type ResourceOptions, type Started } from "./definition/definition.ts";
export type {
  AnyDefinition,
  Binding,
  Definition,
  InputDefinition,
  StartContext,
  StopContext,
} from "./definition/types.ts";
export { defaultsShape, type CallDefaults, type ResourceDefaults } from "./definition/defaults.ts";
export { fromConfig, type Configured, type FromConfig, type Kinds } from "./definition/from-config.ts";
export { fallback, judged, type FallbackReach } from "./definition/fallback.ts";
export { cached, current, fresh, lazy, optional, when, type CachedOptions, type Current } from "./definition/edges.ts";
export {
  brand,
  CORE_CODES,
  describeError,
  isRetryable,
  isStewardError,
  notForUsers,
  StewardError,
  type CoreCode,
  type StewardErrorDetails,
} from "./errors.ts";
export { afterReply, generator, isGeneratorFunction, plainValue, type AfterReply } from "./definition/generator.ts";
export { Guard, type GuardOptions } from "./guard/guard.ts";
export type { GuardEvidence } from "./health/evidence.ts";
export type { Call, CallOptions, GuardStats, Operation, ResourceGuardOptions } from "./guard/options.ts";
export { callRules } from "./guard/options.ts";
export { breakerSchema } from "./guard/schema.ts";
export { guarded, guardValue, type PlannedGuard } from "./guard/guarded.ts";
export { GuardedUse } from "./guard/guarded-use.ts";
export { DURATION_BOUNDS, Histogram } from "./health/histogram.ts";
export { Lifecycle, TRANSITIONS, type LifecycleState } from "./lifecycle/lifecycle.ts";
export type { Phase } from "./lifecycle/phase.ts";
export {
  defineDriver,
  type DerivedOptions,
  type Driver,
  type DriverFactory,
  type ManagedSettings,
} from "./lifecycle/driver.ts";
export { Manager, type GuardBasis, type ManagerCall } from "./lifecycle/manager.ts";
export { RESOURCE_TIMEOUTS, type ManagerContext } from "./lifecycle/manager-context.ts";
export type {
  AbsenceComplaint,
  Bare,
  CheckedNeeds,
  NeedError,
  HeldLifetime,
  Lasting,
  Lifetime,
  MarkedReach,
  Need,
  Needs,
  OpenOf,
  OpenOfAll,
  Present,
  Reach,
  Reachable,
  ReachFor,
  ReachOf,
  ValueOf,
  ValuesOf,
} from "./definition/need.ts";
export {
  CERT_NEEDS_KEY,
  certNeedsKey,
  countSchema,
  eitherSchema,
  functionSchema,
  givenSchema,
  hasMethods,
  isFunction,
  msSchema,
  pemListSchema,
  pemSchema,
  ruleSchema,
  secretSchema,
  shareSchema,
  textSchema,
} from "./options/atoms.ts";
export { nearest } from "./options/nearest.ts";
export { OptionsError, type OptionsProblem } from "./options/problems.ts";
export {
  anything,
  flag,
  func,
  funcOr,
  listOf,
  literalOr,
  milliseconds,
  oneOf,
  recognised,
  recordOf,
  required,
  rule,
  share,
  signal,
  text,
  wholeNumber,
  withMethods,
  type Fault,
  type Rule,
} from "./options/rules.ts";
export { checkOptions, parseOptions, type OptionsSchema, type ParsedOptions } from "./options/schema.ts";
export {
  assertShape,
  checkShape,
  problemsIn,
  shape,
  type BetweenRule,
  type Checked,
  type RulesOf,
  type Shape,
} from "./options/shape.ts";
export type { HistogramValue, MetricSample, MetricsSource } from "./ports/metrics.ts";
export type { Audit, AuditEvent, CacheOptions, ResponseCache } from "./ports/platform.ts";
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
export { grpcStatusOf, httpStatusOf, publicError, stewardErrorIn, type PublicError } from "./public-error.ts";
export { RetryPolicy, type RetryOptions } from "./guard/retry.ts";
export {
  HealthTracker,
  evidenceOf,
  type Health,
  type HealthSettings,
  type HealthThresholds,
  type CallSummary,
  type PassiveEvidence,
} from "./health/tracker.ts";
export type { HealthStatus } from "./health/status.ts";
export type { LastProbe, ProbeCall } from "./health/probing.ts";
export { ProbeScheduler, type ProbeSchedule, type ProbeTarget } from "./health/probes.ts";
export { LatencyHistory } from "./guard/latency.ts";
export { usualVerdict, type Verdict } from "./health/verdict.ts";
export { RollingWindow, type WindowCounts } from "./guard/window.ts";
export type {
  Criticality,
  Readiness,
  RerunOptions,
  ResourceSettings,
  StartRetryOptions,
} from "./definition/settings.ts";
export { maskUrl, Secret, type SecretSource } from "./secret.ts";
export {
  needOf,
  edgeOf,
  originOf,
  specOf,
  variantOf,
  type ApplyChange,
  type Background,
  type EdgeSpec,
  type ManagedResource,
  type ManagedSpec,
  type Spec,
  type Trouble,
  type ValueChange,
  type Variant,
} from "./definition/spec.ts";
export { TimingWheel, timingWheelOf, TimerEntry } from "./time/timing-wheel.ts";
export { isThenable } from "./thenable.ts";
export { TimeoutReached, withTimeout, type WithTimeoutOptions } from "./time/with-timeout.ts";
