import * as v from "valibot";
import type { BreakerOptions } from "./breaker.ts";
import type { OptionsSchema } from "./options/schema.ts";

// A function, not a constant: a bundle of a program that checks no such options is to have none of this.

/** Makes the check for options of a circuit breaker; for the options of every driver that has one. */
export function breakerSchema(): OptionsSchema<BreakerOptions> {
  const [count, durationMs, ratio] = [countSchema(), durationSchema(), ratioSchema()];
  return v.strictObject({
    consecutiveFailures: v.optional(count),
    failureRatio: v.optional(ratio),
    minimumThroughput: v.optional(count),
    samplingDurationMs: v.optional(durationMs),
    slowCallMs: v.optional(durationMs),
    slowCallRatio: v.optional(ratio),
    stallMs: v.optional(durationMs),
    breakDurationMs: v.optional(durationMs),
    rampMs: v.optional(durationMs),
    rampConcurrency: v.optional(count),
  });
}

function countSchema(): v.GenericSchema<number> {
  return v.pipe(v.number(), v.integer("must be a whole number"), v.minValue(1, "must be 1 or more"));
}

function durationSchema(): v.GenericSchema<number> {
  return v.pipe(v.number(), v.gtValue(0, "must be above 0"), v.finite("must be finite"));
}

function ratioSchema(): v.GenericSchema<number> {
  return v.pipe(v.number(), v.gtValue(0, "must be above 0"), v.maxValue(1, "must be 1 or less"));
}
