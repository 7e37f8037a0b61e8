import { ruleSchema } from "../options/atoms.ts";
import { literalOr } from "../options/rules.ts";
import type { OptionsSchema } from "../options/schema.ts";
import { breakerShape, type BreakerOptions } from "./breaker.ts";

/**
 * Makes the check for the option `breaker` of every driver: options of a circuit breaker, or `false` for none. A
 * function, not a constant: a bundle of a program that checks no such options is to have none of this.
 */
export function breakerSchema(): OptionsSchema<BreakerOptions | false> {
  return ruleSchema(literalOr(false, breakerShape));
}
