import type { CallInvocationTransformer } from "@grpc/grpc-js";
import { assertShape, func, listOf, recognised, shape, text, wholeNumber, withMethods } from "@steward/core/driver";
import { cancelWhenClosed } from "./closing.ts";

const isDeadline = (value: unknown): boolean =>
  value instanceof Date ? !Number.isNaN(value.getTime()) : typeof value === "number" && !Number.isNaN(value);

const deadline = recognised(isDeadline, "a Date, or a number of ms since 1970: Date.now() + 500");

/** Everything that grpc-js knows of a call. */
const callShape = shape<Record<string, unknown>>(() => ({
  deadline,
  host: text(),
  parent: withMethods("the call that this one serves", "getPeer"),
  propagate_flags: wholeNumber(0),
  credentials: withMethods("call credentials of grpc-js", "generateMetadata"),
  interceptors: listOf(func()),
  interceptor_providers: listOf(func()),
}));

/**
 * Refuses options of a call that are unknown or of a wrong type, with `OPTIONS_INVALID`. It stands before all
 * interceptors, those of the call itself included. The call ends with its stream.
 */
export function callChecker(resource: string): CallInvocationTransformer {
  const owner = `${resource}: call`;
  return (properties) => {
    assertShape(owner, callShape, properties.callOptions);
    cancelWhenClosed(properties.call);
    return properties;
  };
}

/** The same for a deadline that an interceptor made. */
export function assertDeadline(resource: string, value: unknown): void {
  if (!isDeadline(value))
    assertShape(
      `${resource}: call`,
      shape(() => ({ deadline })),
      { deadline: value },
    );
}
