import * as v from "valibot";

/** Options as they were given: rules between them bear those of wrong types. */
export type GivenOptions = Readonly<Record<string, unknown>>;

/** A rule between options: where a problem is reported, what it is, and when it is one. */
export type OptionsRule = readonly [path: string, problem: string, isBroken: (given: GivenOptions) => boolean];

/** Whether one of these options was given. */
export function hasAny(given: GivenOptions, keys: readonly string[]): boolean {
  return keys.some((key) => given[key] !== undefined);
}

/** Checks rules between options, also where an option is wrong by itself, so that everything is found at once. */
export function rulesBetween<T>(rules: readonly OptionsRule[]): v.RawCheckAction<T> {
  return v.rawCheck(({ dataset, addIssue }) => {
    const given = dataset.value as GivenOptions; // an object, of whatever types
    for (const [key, message, isBroken] of rules)
      if (isBroken(given))
        addIssue({ message, path: [{ type: "object", origin: "value", input: given, key, value: given[key] }] });
  });
}
