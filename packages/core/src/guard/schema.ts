import * as v from "valibot";
import type { BreakerOptions } from "./breaker.ts";
import { breakerShape } from "./breaker.ts";
import { literalOr } from "../options/rules.ts";
import type { OptionsSchema } from "../options/schema.ts";

/**
 * Makes the check for the option `breaker` of every driver: options of a circuit breaker, or `false` for none. A
 * function, not a constant: a bundle of a program that checks no such options is to have none of this.
 */
export function breakerSchema(): OptionsSchema<BreakerOptions | false> {
  const rule = literalOr(false, breakerShape);
  return v.pipe(
    v.unknown(),
    v.rawCheck(({ dataset: { value }, addIssue }) => {
      const found = rule(value);
      if (typeof found === "string") addIssue({ message: found });
      else
        for (const { path: key, message } of found ?? [])
          if (key === "") addIssue({ message });
          else addIssue({ message, path: [{ type: "object", origin: "value", input: {}, key, value }] });
    }),
    v.transform((value) => value as BreakerOptions | false), // the rule has seen it
  );
}
