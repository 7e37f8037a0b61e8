import { isStewardError } from "@steward/core";

/** Errors of connections that could not be made. Those of TLS have more codes than a list would hold. */
const unconnected = new WeakSet<Error>();

/** No connection could be made because of it. An address that we refuse ourselves says nothing about its server. */
export function noteUnconnected(error: Error): void {
  if (!isStewardError(error, "HTTP_ADDRESS_REFUSED")) unconnected.add(error);
}

/** Whether it kept a connection from being made: no server, no tunnel, no trust. */
export function isUnconnected(error: unknown): boolean {
  return error instanceof Error && unconnected.has(error);
}
