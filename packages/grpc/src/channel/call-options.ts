import type { InterceptingCall, Interceptor } from "@grpc/grpc-js";
import { anything, assertShape, recognised, shape } from "@steward/core/driver";

const isDeadline = (value: unknown): boolean =>
  value instanceof Date ? !Number.isNaN(value.getTime()) : typeof value === "number" && !Number.isNaN(value);

/** Everything that grpc-js knows of a call. */
const callShape = shape<Record<string, unknown>>(() => ({
  deadline: recognised(isDeadline, "a Date, or a number of ms since 1970: Date.now() + 500"),
  ...Object.fromEntries(
    ["host", "parent", "propagate_flags", "credentials", "interceptors", "interceptor_providers"].map((key) => [
      key,
      anything(),
    ]),
  ),
  method_definition: anything(),
}));

/**
 * An interceptor that refuses options of a call that are unknown or of a wrong type, with `OPTIONS_INVALID`. It adds
 * nothing to the call itself.
 */
export function callChecker(resource: string): Interceptor {
  const owner = `${resource}: call`;
  return (options, next) => {
    assertShape(owner, callShape, options);
    return next(options) as InterceptingCall; // what goes through untouched need not be wrapped
  };
}
