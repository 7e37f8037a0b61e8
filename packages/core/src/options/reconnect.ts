import * as v from "valibot";
import type { BackoffBounds } from "../time/backoff.ts";
import { msSchema } from "./atoms.ts";

/** Pauses between attempts to connect, in ms. They double with every attempt, and are drawn at random. */
export interface ReconnectOptions {
  /** Ceiling of the first pause. */
  readonly minMs?: number | undefined;
  /** Ceiling of every pause. */
  readonly maxMs?: number | undefined;
}

/** What {@link ReconnectOptions} must be, with what counts where they say nothing. */
export function reconnectSchema(defaults: BackoffBounds): v.GenericSchema<unknown, BackoffBounds> {
  return v.pipe(
    v.strictObject({
      minMs: v.optional(msSchema(), defaults.minMs),
      maxMs: v.optional(msSchema(), defaults.maxMs),
    }),
    v.check(({ minMs, maxMs }) => minMs <= maxMs, "maxMs must not be shorter than minMs"),
  );
}
