import { describeError, StewardError } from "../errors.ts";
import type { LifecycleState } from "./lifecycle.ts";

/** The error of a start where the resource can begin none. */
export function startConflict(resource: string, why: string): StewardError {
  return new StewardError("LIFECYCLE_CONFLICT", `${resource}: cannot start: ${why}`, { resource });
}

export function startTimeout(resource: string, timeoutMs: number): StewardError {
  const message = `${resource}: not ready within ${timeoutMs} ms; is what it connects to up, and reachable from here?`;
  return new StewardError("START_TIMEOUT", message, { resource, retryable: true });
}

/** The error of a start that its caller or a stop gave up, for the reason `cause`. */
export function startAborted(resource: string, cause: unknown): StewardError {
  const message = `${resource}: start given up: ${describeError(cause ?? "a stop was asked for")}`;
  return new StewardError("START_ABORTED", message, { resource, cause });
}

/** Why a start is aborted by a stop. */
export function stopAsked(resource: string): StewardError {
  return new StewardError("START_ABORTED", `${resource}: a stop was asked for`, { resource });
}

export function drainTimeout(resource: string, timeoutMs: number): StewardError {
  const message = `${resource}: work still in flight after draining for ${timeoutMs} ms`;
  return new StewardError("STOP_TIMEOUT", message, { resource });
}

export function stopTimeout(resource: string, timeoutMs: number): StewardError {
  const message = `${resource}: did not stop within ${Math.round(timeoutMs)} ms; it is given up`;
  return new StewardError("STOP_TIMEOUT", message, { resource });
}

export function interrupted(resource: string): StewardError {
  const message = `${resource}: stopped while the call was in flight`;
  return new StewardError("RESOURCE_UNAVAILABLE", message, { resource });
}

/** The error of a call while the resource is not ready. */
export function notReady(resource: string, state: LifecycleState): StewardError {
  const cause = state.phase === "failed" ? state.error : undefined;
  const why =
    state.phase === "failed" ? `down: ${describeError(cause)}` : state.phase === "idle" ? "not started" : state.phase;
  const retryable = state.phase !== "stopped";
  return new StewardError("RESOURCE_UNAVAILABLE", `${resource}: ${why}`, { resource, retryable, cause });
}
