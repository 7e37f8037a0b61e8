import type { HandlerSpec } from "../../route/handler-spec.ts";

const SPEC = Symbol.for("steward.handler"); // one symbol for all copies

/** Notes on a function of a framework's which handler with needs it calls, so that its app can find it. */
export function marked<F extends Function>(handle: F, spec: HandlerSpec): F {
  return Object.assign(handle, { [SPEC]: spec });
}

/** The handler with needs that a function calls, if it was {@link marked}. */
export function specIn(handle: unknown): HandlerSpec | undefined {
  return typeof handle === "function" ? (handle as { [SPEC]?: HandlerSpec })[SPEC] : undefined; // set by `marked` alone
}
