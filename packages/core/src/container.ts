export { isHeard, publishEvent, type ContainerEvents } from "./channels.ts";
export { defaultsShape, type CallDefaults, type ResourceDefaults } from "./definition/defaults.ts";
export { isDefinition } from "./definition/definition.ts";
export { judged } from "./definition/fallback.ts";
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
export { guardValue, type PlannedGuard } from "./guard/guarded.ts";
export type { LastProbe } from "./health/probing.ts";
export { ProbeScheduler, type ProbeSchedule, type ProbeTarget } from "./health/probes.ts";
export { HealthTracker, type CallSummary, type Health, type HealthThresholds } from "./health/tracker.ts";
export { Lifecycle, type LifecycleState } from "./lifecycle/lifecycle.ts";
export { outsideRequests } from "./context.ts";
export { RESOURCE_TIMEOUTS } from "./lifecycle/manager-context.ts";
export { BaseManager, type ManagerCall } from "./lifecycle/base-manager.ts";
export { isThenable } from "./thenable.ts";
export { LazyAbort, sharedAbortController } from "./time/abort.ts";
export type { BoundedCall } from "./time/with-timeout.ts";
