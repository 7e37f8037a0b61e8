import { msSchema, type OptionsSchema } from "@steward/core";
import * as v from "valibot";

/** What a sample can be told. */
export interface SampleOptions {
  /** Longest call, time in the queue included, in ms. Default 5,000. */
  readonly timeoutMs?: number | undefined;
}

/** Options with their defaults. */
export type CheckedOptions = { readonly [Key in keyof SampleOptions]-?: Exclude<SampleOptions[Key], undefined> };

/** Checks options; unknown keys are refused. */
export const schema: OptionsSchema<CheckedOptions> = v.strictObject({
  timeoutMs: v.optional(msSchema(), 5_000),
});
