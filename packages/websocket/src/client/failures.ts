import { StewardError } from "@steward/core";
import { describeError } from "@steward/core/driver";
import type { State } from "./plan.ts";

/** The connection ended; the next one is on its way. */
export function connectionEnded(resource: string, said: string): StewardError {
  const message = `${resource}: not connected: ${said}`;
  return new StewardError("WEBSOCKET_DISCONNECTED", message, { resource, retryable: true });
}

/** Something needs a connection while there is none. */
export function noConnection(resource: string, state: State, lastError: StewardError | undefined): StewardError {
  const why = lastError === undefined ? "still connecting" : describeError(lastError);
  const said = state.name === "closed" ? state.why : why;
  const retryable = state.name !== "closed";
  const message = `${resource}: no connection: ${said}`;
  return new StewardError("WEBSOCKET_DISCONNECTED", message, { resource, cause: lastError, retryable });
}
