export { container, Container, type ContainerOptions, type StartOptions } from "./container.ts";
export { CONTAINER_CODES, StartError, StopError, type ContainerCode, type NodeFailure } from "./errors.ts";
export type { ExplainFormat } from "./explain.ts";
export type { HealthReport, HealthStatus, ResourceHealth } from "./health.ts";
export { Running, type Scope } from "./running.ts";
export type { AllInputs, BoundBy, Gotten, HeldByContainer, ResolvableBy, ScopeNeeds, SomeDefinition } from "./scope-types.ts";
export type { SessionHandle } from "./session-handle.ts";
export type { SessionOptions } from "./sessions.ts";
