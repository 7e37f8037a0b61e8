import type { BreakerOptions } from "@steward/core";
import { breakerSchema, countSchema, msSchema, type OptionsSchema } from "@steward/core/driver";
import * as v from "valibot";

/** Where the remote is, and what it has to know of who asks. */
export interface SampleEndpoint {
  /** Such as `tcp://127.0.0.1:7000`. */
  readonly url: string;
}

const endpoint = {
  url: v.pipe(v.string(), v.url()),
};

/** Options of a sample. */
export interface SampleOptions extends SampleEndpoint {
  /** Longest call, time in the queue included, in ms. Default 5,000. */
  readonly timeoutMs?: number | undefined;
  /** Calls that may run at once. Default 100. */
  readonly maxConcurrent?: number | undefined;
  /** Calls that may wait for a place; one more is refused. Default 1,000. */
  readonly maxPending?: number | undefined;
  /** A circuit breaker: it opens when there is no connection or no answer. `false` for none. Default: on. */
  readonly breaker?: BreakerOptions | false | undefined;
}

/** Options with their defaults. */
export type CheckedOptions = { readonly [Key in keyof SampleOptions]-?: Exclude<SampleOptions[Key], undefined> };

/** Checks options; unknown keys are refused. */
export const schema: OptionsSchema<CheckedOptions> = v.strictObject({
  ...endpoint,
  timeoutMs: v.optional(msSchema(1), 5_000),
  maxConcurrent: v.optional(countSchema(1), 100),
  maxPending: v.optional(countSchema(0), 1_000),
  breaker: v.optional(breakerSchema(), {}),
});
