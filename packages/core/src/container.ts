export { bearerCheck } from "./bearer.ts";
export { isHeard, publishEvent, type ContainerEvents } from "./channels.ts";
export { defaultsShape, type CallDefaults, type ResourceDefaults } from "./definition/defaults.ts";
export { isDefinition } from "./definition/definition.ts";
export { USABLE } from "./definition/fallback.ts";
export { plainValue } from "./definition/generator.ts";
export type {
  AbsenceComplaint,
  Bare,
  CheckedNeeds,
  HeldLifetime,
  Need,
  Needs,
  OpenOf,
  OpenOfAll,
  Reachable,
  ReachOf,
  ValuesOf,
} from "./definition/need.ts";
export { rootsOf, withRoots } from "./definition/roots.ts";
export type { ResourceSettings } from "./definition/settings.ts";
export {
  edgeOf,
  needOf,
  originOf,
  specOf,
  variantOf,
  type EdgeSpec,
  type ManagedResource,
  type Spec,
  type Trouble,
  type ValueChange,
} from "./definition/spec.ts";
export type { AnyDefinition } from "./definition/types.ts";
export { brand, describeError } from "./errors.ts";
export { guardValue, type PlannedGuard } from "./guard/guarded.ts";
export type { LastProbe } from "./health/probing.ts";
export { ProbeScheduler, type ProbeSchedule, type ProbeTarget } from "./health/probes.ts";
export { HealthTracker, type CallSummary, type Health, type HealthThresholds } from "./health/tracker.ts";
export { Lifecycle, type LifecycleState } from "./lifecycle/lifecycle.ts";
export { outsideRequests } from "./context.ts";
export { RESOURCE_TIMEOUTS, type ManagerContext } from "./lifecycle/manager-context.ts";
export { BaseManager, type GuardBasis, type ManagerCall } from "./lifecycle/base-manager.ts";
export { answerJson, operatorDoor, operatorToken } from "./network/operators.ts";
export { nearest } from "./options/nearest.ts";
export { OptionsError } from "./options/problems.ts";
export {
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
  signal,
  text,
  wholeNumber,
  withMethods,
  type Rule,
} from "./options/rules.ts";
export { assertShape, checkShape, shape, type Shape } from "./options/shape.ts";
export { isThenable } from "./thenable.ts";
export { LazyAbort, sharedAbortController } from "./time/abort.ts";
export { backoffMs, withJitter } from "./time/backoff.ts";
export { TimerEntry, timingWheelOf, type TimingWheel } from "./time/timing-wheel.ts";
export { TimeoutReached, withTimeout, type BoundedCall } from "./time/with-timeout.ts";
