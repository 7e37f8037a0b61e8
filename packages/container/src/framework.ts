export { containersUp, definitionsHeld, followValue, onContainerUp } from "./container.ts";
export type { ReplacementFor, ReplacementReach } from "./graph/override.ts";
export { announceShutdown } from "./main/shutdown-announced.ts";
export { PreparedNeeds, type FrameworkScope } from "./scope/prepared.ts";
export type { AllInputs, ScopeNeeds } from "./scope/scope-types.ts";
