import { status } from "@grpc/grpc-js";
import type { BreakerOptions } from "@steward/core";
import * as v from "valibot";
import type { StatusName } from "../status.ts";

/** A duration that Node can time. */
export const ms: v.GenericSchema<unknown, number> = v.pipe(
  v.number(),
  v.minValue(1, "must be at least 1 ms"),
  v.maxValue(2 ** 31 - 1, "must be at most 2147483647 ms"),
);

/** A whole number. */
export const count = (min: number, max: number = Number.MAX_SAFE_INTEGER): v.GenericSchema<unknown, number> =>
  v.pipe(
    v.number(),
    v.integer("must be a whole number"),
    v.minValue(min, `must be at least ${min}`),
    v.maxValue(max, `must be at most ${max}`),
  );

/** A share of a whole. */
export const ratio: v.GenericSchema<unknown, number> = v.pipe(
  v.number(),
  v.gtValue(0, "must be above 0"),
  v.maxValue(1, "must be at most 1"),
);

/** Something that only a function can tell to be right. */
export function such<T>(is: (value: unknown) => boolean, message: string): v.GenericSchema<unknown, T> {
  return v.pipe(
    v.unknown(),
    v.check(is, message),
    v.transform((value) => value as T), // `is` has seen it
  );
}

/** Whether it can be called. */
export const isFunction = (value: unknown): boolean => typeof value === "function";

/** An object, or something simpler; problems inside the object are told as those of an object. */
export function either<A, B>(
  object: v.GenericSchema<unknown, A>,
  isOther: (value: unknown) => boolean,
  other: v.GenericSchema<unknown, B>,
): v.GenericSchema<unknown, A | B> {
  const schema = v.lazy((value: unknown): v.GenericSchema<unknown, A | B> => (isOther(value) ? other : object));
  return Object.assign(schema, { options: [object] }); // where near misses of keys are looked up
}

const isFailure = (value: unknown): boolean =>
  typeof value === "string" && value !== "OK" && Object.hasOwn(status, value);

/** Names of statuses that are failures. */
export const retryable: v.GenericSchema<unknown, StatusName[]> = v.pipe(
  v.array(such<StatusName>(isFailure, "must be the name of a gRPC status other than OK")),
  v.minLength(1, "must name a status"),
);

/** Options of a circuit breaker. */
export const breaker: v.GenericSchema<unknown, BreakerOptions> = v.strictObject({
  consecutiveFailures: v.optional(count(1)),
  failureRatio: v.optional(ratio),
  minimumThroughput: v.optional(count(1)),
  samplingDurationMs: v.optional(ms),
  slowCallMs: v.optional(ms),
  slowCallRatio: v.optional(ratio),
  stallMs: v.optional(ms),
  breakDurationMs: v.optional(ms),
  rampMs: v.optional(ms),
  rampConcurrency: v.optional(count(1)),
});
