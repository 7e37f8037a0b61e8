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
  const ask = (): unknown => authorization.reveal();
  const given = (text: unknown): void => {
    if (typeof text === "string") then(text);
    else failed(new TypeError("authorization gave no text"));
  };
  let value: unknown;
  try {
    value = place === undefined ? ask() : place.runInAsyncScope(ask);
  } catch (error) {
    return failed(asError(error));
  }
  if (typeof value === "string") then(value);
  else Promise.resolve(value).then(given, (error: unknown) => failed(asError(error)));
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
