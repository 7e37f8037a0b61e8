export { container, type Container, type ContainerOptions, type StartOptions } from "./container.ts";
export { StartError, StopError, type ContainerCode, type NodeFailure } from "./errors.ts";
export { explain, type ExplainFormat, type GraphSource } from "./graph/explain.ts";
export type { EdgeView, GraphView, NodeView } from "./graph/view.ts";
export {
  healthEndpoints,
  type HealthAnswer,
  type HealthEndpointOptions,
  type HealthEndpoints,
  type HealthSource,
} from "./health/endpoints.ts";
export {
  serveManagement,
  type ManagementListener,
  type ManagementOptions,
  type ManagementRoute,
  type ManagementSource,
} from "./health/management.ts";
export type { MonitorOptions } from "./health/monitor.ts";
export type { HealthReport, ResourceHealth } from "./health/report.ts";
export type { ResourceStats } from "./health/stats.ts";
export type { EndSignal, MainLogger, MainOptions, ShutdownInfo, ShutdownReason } from "./main/options.ts";
export { runMain } from "./main/run-main.ts";
export type { RestartOptions, StopOptions } from "./options.ts";
export type { RunningContainer } from "./running.ts";
export type { Scope } from "./scope/run-scope.ts";
export type { SessionHandle } from "./session/session-handle.ts";
export type { SessionOptions } from "./session/sessions.ts";
