export { bearerCheck } from "./bearer.ts";
export {
  keyUsesAreHeard,
  publishAuth,
  publishConfig,
  publishKey,
  publishKeyUse,
  publishRequest,
  publishServing,
  publishUnhandled,
  requestsAreHeard,
} from "./channels.ts";
export type { ApplyChange } from "./definition/spec.ts";
export { brand, CORE_CODES, describeError, notForUsers, outcomeUnknown } from "./errors.ts";
export { answerJson, operatorDoor, operatorToken } from "./network/operators.ts";
export { answerOtherUpgrades } from "./network/plain-upgrades.ts";
export { Exposures, isHostAmong, isLoopback, type Exposure } from "./network/exposure.ts";
export { claimDatabase, environmentMismatch, environmentSchema, inEnvironment } from "./environment.ts";
export { GuardedUse } from "./guard/guarded-use.ts";
export { outsideRequests, soundContext, soundTraceparent } from "./context.ts";
export { heardCall, type HeardWork } from "./trace/heard-call.ts";
export { callRules } from "./guard/options.ts";
export { breakerSchema } from "./guard/schema.ts";
export { isGivenUp } from "./time/given-up.ts";
export { Histogram } from "./health/histogram.ts";
export type { PassiveEvidence } from "./health/tracker.ts";
export { lastBytes, SilenceWatch, type AnswerProgress, type SilenceWatchParts } from "./health/silence-watch.ts";
export { usualVerdict, type Verdict } from "./health/verdict.ts";
export { defineDriver, type DerivedOptions, type DriverFactory, type ManagedSettings } from "./lifecycle/driver.ts";
export { defineTestDriver, optionsWithout, type TestDriver, type TestFactory } from "./lifecycle/test-driver.ts";
export type { ManagerContext } from "./lifecycle/manager-context.ts";
export type { GuardBasis } from "./lifecycle/base-manager.ts";
export { Manager } from "./lifecycle/manager.ts";
export {
  countSchema,
  eitherSchema,
  functionSchema,
  givenSchema,
  hasMethods,
  isFunction,
  msSchema,
  pemSchema,
  ruleSchema,
  secretSchema,
  shareSchema,
  textSchema,
} from "./options/atoms.ts";
export { hasAny, rulesBetween, type GivenOptions, type OptionsRule } from "./options/between.ts";
export { connectionSeries, type PooledConnections } from "./network/connection-series.ts";
export { clientNetwork } from "./network/client-network.ts";
export { backendsAtWork, isLoginRefused, isWriteRefused, poolerAdvice, READS_ONLY } from "./network/postgres.ts";
export {
  POSTGRES_PARTS,
  POSTGRES_RULES,
  postgresEntries,
  postgresUrlProblem,
  postgresUrlSchema,
  type CheckedPostgresOptions,
  type PostgresPoolOptions,
  type PostgresServerOptions,
} from "./network/postgres-options.ts";
export { parsePostgresUrl, tlsModeOf, UrlProblem, type PostgresUrl } from "./network/postgres-url.ts";
export { nearest } from "./options/nearest.ts";
export { OptionsError } from "./options/problems.ts";
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
  signal,
  text,
  wholeNumber,
  withMethods,
  type Rule,
} from "./options/rules.ts";
export { reconnectSchema, type ReconnectOptions } from "./options/reconnect.ts";
export { checkOptions, isPlainObject, parseOptions, type OptionsSchema } from "./options/schema.ts";
export {
  isStandardSchema,
  type SchemaIssue,
  type SchemaResult,
  type StandardSchema,
} from "./options/standard-schema.ts";
export {
  connectTls,
  describeConnectError,
  tlsFor,
  tlsSchema,
  tlsSettingsSchema,
  type ConnectTls,
  type TlsOption,
  type TlsSettings,
} from "./options/tls.ts";
export { assertShape, checkShape, shape, type BetweenRule, type RulesOf, type Shape } from "./options/shape.ts";
export { stewardErrorIn } from "./public-error.ts";
export { maskUrl } from "./secret.ts";
export { sqlKeyword, tablesOnce } from "./sql.ts";
export { aborted } from "./time/abort.ts";
export { backoffMs, type BackoffBounds } from "./time/backoff.ts";
export { MAX_TIMER_MS, sleepOn } from "./time/clock.ts";
export { ConnectionWatch } from "./time/connection-watch.ts";
export { Lookout } from "./time/lookout.ts";
export { TimerEntry, TimingWheel, timingWheelOf } from "./time/timing-wheel.ts";
export { TimeoutReached, withTimeout } from "./time/with-timeout.ts";
