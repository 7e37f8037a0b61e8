import { StewardError, type StewardErrorDetails } from "@steward/core";
import { brand } from "@steward/core/container";

/** Every error code of `@steward/container`, with what it means. */
export const CONTAINER_CODES = {
  GRAPH_CYCLE: "Definitions need one another in a circle; the message shows the path.",
  GRAPH_CAPTIVE: "A definition needs something that lives shorter than itself.",
  GRAPH_DUPLICATE_NAME: "Two definitions in one container have the same name.",
  GRAPH_DISABLED: "A definition needs something that configuration disabled, without saying optional(...).",
  GRAPH_OPTIONAL:
    "A definition holds a resource that may be down and has no object while it is; current(...) is needed.",
  INPUT_MISSING: "A container or a scope was opened without an input that it needs.",
  NOT_IN_GRAPH: "Something was asked for that the container does not hold or has not started.",
  NOT_OVERRIDDEN:
    "A strict container, or a scope of it, would start something that reaches the outside and was not overridden.",
  START_FAILED: "A resource failed to start, so everything that had started was stopped again.",
  STOP_FAILED: "One or more resources failed to stop, or did not stop in time; the others did.",
  RESTART_FAILED:
    "A resource could not be restarted. The old one is still in use, or, where it had to stop first, none is until a restart succeeds.",
  RESTART_REFUSED: "A process resource cannot be restarted while other containers of the process hold it too.",
  CONTAINER_CLOSED: "The container is stopping or stopped and opens no more scopes.",
  SCOPE_CLOSED: "A scope was used after it was closed.",
  SESSION_MISSING: "A session resource was asked for outside of a session.",
  CACHED_LIMIT: "As many instances of a cached need as there may be by their keys all have a user.",
  SESSION_LIMIT: "All sessions are in use and their number is at its limit.",
  GENERATOR_DID_NOT_YIELD: "A lifecycle generator returned without yielding its value.",
  GENERATOR_YIELDED_TWICE: "A lifecycle generator yielded a second time where only its end was expected.",
  GENERATOR_SWALLOWED_ERROR: "A lifecycle generator caught the error of the handler and did not throw it on.",
  BACKGROUND_ENDED: "The background work of a resource ended although nothing had asked it to.",
  UNCAUGHT_ERROR: "An error was thrown or rejected that nothing caught; the process stops everything and ends.",
  PROFILE_RUNNING: "A profile of the process is being taken; there can be one at a time.",
  PROFILE_DEBUGGER: "A debugger may be attached to the process, and a profile was not forced.",
  PROFILE_TOO_LARGE: "A profile is larger than the option maxBytes of its route.",
  SHUTDOWN_TIMEOUT: "The shutdown took longer than its total timeout.",
} as const;

/** A code that `@steward/container` itself raises. */
export type ContainerCode = keyof typeof CONTAINER_CODES;

/** Makes an error of this package. */
export function containerError(code: ContainerCode, message: string, details?: StewardErrorDetails): StewardError {
  return new StewardError(code, message, details);
}

/** One resource that failed to start or stop. */
export interface NodeFailure {
  readonly resource: string;
  readonly phase: "options" | "start" | "drain" | "stop";
  readonly durationMs: number;
  /** How often its start was tried; `undefined` where it was not tried again. */
  readonly attempts?: number | undefined;
  readonly cause: unknown;
}

/** A start that failed: which resource, in which phase, after how long, why, and what was rolled back. */
export class StartError extends StewardError {
  override readonly name = "StartError";
  /** The first is the one that made the start fail; others failed before they heard of it. */
  readonly failures: readonly NodeFailure[];
  /** What had started and was stopped again, in the order of stopping. */
  readonly rolledBack: readonly string[];
  /** What ignored its abort and was still starting; it is stopped when it arrives. */
  readonly stillStarting: readonly string[];
  /** What failed while being rolled back. */
  readonly rollbackFailures: readonly NodeFailure[];

  constructor(
    message: string,
    details: Pick<StartError, "failures" | "rolledBack" | "stillStarting" | "rollbackFailures">,
  ) {
    const [first] = details.failures;
    super("START_FAILED", message, { resource: first?.resource, cause: first?.cause });
    this.failures = details.failures;
    this.rolledBack = details.rolledBack;
    this.stillStarting = details.stillStarting;
    this.rollbackFailures = details.rollbackFailures;
  }

  static {
    brand(this, "start-error");
  }
}

/** A stop in which something failed; everything else was stopped. */
export class StopError extends StewardError {
  override readonly name = "StopError";
  readonly failures: readonly NodeFailure[];

  constructor(message: string, failures: readonly NodeFailure[]) {
    super("STOP_FAILED", message, { resource: failures[0]?.resource, cause: failures[0]?.cause });
    this.failures = failures;
  }

  static {
    brand(this, "stop-error");
  }
}

/** The error of a generator that ended before its value. */
export function didNotYield(name: string): Error {
  return containerError(
    "GENERATOR_DID_NOT_YIELD",
    `"${name}": its generator returned without yielding a value; it has to yield exactly one`,
    { resource: name },
  );
}

/** The error of a generator that yields where its end was expected. */
export function yieldedTwice(name: string): Error {
  return containerError(
    "GENERATOR_YIELDED_TWICE",
    `"${name}": its generator yielded again where its end was expected; only a handler resource may yield afterReply a second time`,
    { resource: name },
  );
}
