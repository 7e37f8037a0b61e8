import * as v from "valibot";
import type { OptionsSchema } from "../options/schema.ts";

/** A rule between two options: `lower` may not be above `upper`. */
export interface Order<T> {
  readonly lower: keyof T & string;
  readonly upper: keyof T & string;
  /** Which of the two the message speaks of. */
  readonly at: "lower" | "upper";
}

/** A strict object of options with rules between them; problems with all of them are found at once. */
export function ordered<T>(entries: v.ObjectEntries, ...orders: readonly Order<T>[]): OptionsSchema<T> {
  const schema = v.pipe(
    v.strictObject(entries),
    v.rawCheck(({ dataset, addIssue }) => {
      const given: Readonly<Record<string, unknown>> = dataset.typed ? dataset.value : {};
      for (const { lower, upper, at } of orders) {
        const [low, high] = [given[lower], given[upper]];
        if (typeof low !== "number" || typeof high !== "number" || low <= high) continue;
        const [key, message] =
          at === "upper" ? [upper, `must be at least ${lower}`] : [lower, `must be at most ${upper}`];
        addIssue({ message, path: [{ type: "object", origin: "value", input: given, key, value: given[key] }] });
      }
    }),
  );
  return schema as unknown as OptionsSchema<T>; // valibot types objects by their entries; these are the entries of T
}
