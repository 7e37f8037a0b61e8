import { OptionsError, unknownKey, wrongType, type OptionsProblem } from "./problems.ts";
import { faultsAt, type Fault, type Rule } from "./rules.ts";

/** A rule for every option of `T`: a new option without one does not compile. */
export type RulesOf<T> = { readonly [K in keyof T]-?: Rule };

/** A rule between options: nothing, or a problem whose `path` is the option that it speaks of. */
export type BetweenRule<T> = (given: T) => Fault | undefined;

/** What the options `T` of a function must be. It is a rule itself, for options inside options. */
export interface Shape<in out T> extends Rule {
  /** For the types alone. */
  readonly of?: (options: T) => T;
}

type Given = Readonly<Record<string, unknown>>;

/**
 * Describes the options of a function: a rule for each, and rules between them. A key without a rule is refused with
 * the nearest that has one, `undefined` means the default, and everything that is wrong is found at once.
 *
 * The rules are made at the first check, so that a program pays only for the shapes that it uses.
 */
export function shape<T extends object>(rules: () => RulesOf<T>, ...between: readonly BetweenRule<T>[]): Shape<T> {
  let known: Known | undefined;
  const check = (value: unknown): readonly Fault[] | undefined => {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return [{ path: "", message: wrongType("an object", value) }];
    known ??= knownOf(rules());
    let faults = faultsOf(value as Given, known); // an object, looked at only
    if (faults !== undefined) return faults;
    for (const rule of between) {
      const fault = rule(value as T); // every option is right by itself
      if (fault !== undefined) (faults ??= []).push(fault);
    }
    return faults;
  };
  return Object.assign(check, { expects: "an object" });
}

interface Known {
  /** Without a prototype, so that `toString` is no option. */
  readonly rules: Readonly<Record<string, Rule>>;
  readonly required: readonly string[];
}

function knownOf(rules: Readonly<Record<string, Rule>>): Known {
  const all = Object.assign(Object.create(null) as Record<string, Rule>, rules);
  return { rules: all, required: Object.keys(all).filter((key) => all[key]?.required === true) };
}

/** Allocates nothing where nothing is wrong. */
function faultsOf(given: Given, { rules, required }: Known): Fault[] | undefined {
  let faults: Fault[] | undefined;
  for (const key in given) {
    const rule = rules[key];
    const value = given[key];
    if (rule !== undefined && value === undefined) continue;
    const found = rule === undefined ? unknownKey(key, Object.keys(rules)) : rule(value);
    if (found !== undefined) (faults ??= []).push(...faultsAt(key, found));
  }
  for (const key of required)
    if (given[key] === undefined)
      (faults ??= []).push({ path: key, message: `is missing: expected ${rules[key]?.expects ?? "a value"}` });
  return faults;
}

/**
 * Refuses options that are not as the shape says. Cheap where they are: for what is made or called often.
 * @param owner Whose options these are, for the message: a resource or a function.
 * @throws {OPTIONS_INVALID} listing every problem.
 */
export function assertShape(owner: string, of: Rule, given: unknown): void {
  const found = of(given);
  if (found !== undefined) throw new OptionsError(problemsIn(owner, found));
}

/** What a shape found, as problems of a resource or a function. */
export function problemsIn(owner: string, found: ReturnType<Rule>): OptionsProblem[] {
  if (found === undefined) return [];
  const faults = typeof found === "string" ? [{ path: "", message: found }] : found;
  return faults.map(({ path, message }) => ({ resource: owner, path, message }));
}

/**
 * Options that are as the shape says, frozen, without those that are `undefined`, so that defaults can stand before them.
 * @param owner Whose options these are, for the message: a resource or a function.
 * @throws {OPTIONS_INVALID} listing every problem.
 */
export function checkShape<T extends object>(owner: string, of: Shape<T>, given: T | undefined): Checked<T> {
  const options = given === undefined ? {} : given; // `null` is no way to leave them out
  assertShape(owner, of, options);
  const kept = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.freeze(Object.fromEntries(kept)) as Checked<T>; // the same options
}

/** Options without `undefined`. */
export type Checked<T> = { readonly [K in keyof T]: Exclude<T[K], undefined> };
