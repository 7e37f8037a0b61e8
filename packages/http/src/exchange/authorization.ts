import { AsyncResource } from "node:async_hooks";
import type { Secret } from "@steward/core";

/** Where a call that has to wait was made, if code of its owner runs when it begins, in a callback of somebody else. */
export function placeOf(authorization: Secret | undefined): AsyncResource | undefined {
  if (authorization?.isFetched !== true) return undefined;
  return new AsyncResource("steward.http", { requireManualDestroy: true });
}

/** Asks for the header of a call where the call was made; in this turn, unless it has to be fetched. */
export function reveal(
  authorization: Secret,
  place: AsyncResource | undefined,
  then: (text: string) => void,
  failed: (error: Error) => void,
): void {
  const ask = (): string | Promise<string> => authorization.reveal();
  const value = place === undefined ? ask() : place.runInAsyncScope(ask);
  if (typeof value === "string") then(value);
  else value.then(then, failed);
}
