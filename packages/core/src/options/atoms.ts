import * as v from "valibot";
import { MAX_TIMER_MS } from "../time/clock.ts";
import { Secret, type SecretSource } from "../secret.ts";
import { milliseconds, recognised, share, text, wholeNumber, type Rule } from "./rules.ts";

// Functions, not constants: a bundle of a program that checks no options of a driver is to have none of this.

/** A schema that says what a rule says, so that options of drivers and of Steward's own functions speak with one voice. */
export function ruleSchema<T>(of: Rule): v.GenericSchema<unknown, T> {
  const schema = v.pipe(
    v.unknown(),
    v.rawCheck(({ dataset, addIssue }) => {
      const found = of(dataset.value) ?? [];
      const faults = typeof found === "string" ? [{ path: "", message: found }] : found;
      for (const { path, message } of faults) addIssue({ message, path: pathOf(path) });
    }),
    v.transform((value) => value as T), // the rule has seen it
  );
  return Object.assign(schema, { expects: of.expects });
}

/** Where below the value it is, as valibot writes it; `undefined` for the value itself. */
function pathOf(path: string): [v.UnknownPathItem, ...v.UnknownPathItem[]] | undefined {
  const [first, ...rest] = path.split(".").map(itemOf);
  return path === "" || first === undefined ? undefined : [first, ...rest];
}

function itemOf(key: string): v.UnknownPathItem {
  return { type: "unknown", origin: "value", input: undefined, key, value: undefined };
}

/** A value that a test recognises, and stays as it is; the message for any other is `must be ...`. */
export function givenSchema<T>(is: (value: unknown) => boolean, what: string): v.GenericSchema<unknown, T> {
  return Object.assign(ruleSchema<T>(recognised(is, what)), { given: true });
}

/** Whether it can be called. */
export function isFunction(value: unknown): boolean {
  return typeof value === "function";
}

/** Whether it is an object with these methods. */
export function hasMethods(value: unknown, ...names: readonly string[]): boolean {
  return typeof value === "object" && value !== null && names.every((name) => isFunction(Reflect.get(value, name)));
}

/** A function. */
export function functionSchema<T>(what = "a function"): v.GenericSchema<unknown, T> {
  return givenSchema(isFunction, what);
}

/** A duration in ms that a timer can take. */
export function msSchema(least = 1, most: number = MAX_TIMER_MS): v.GenericSchema<unknown, number> {
  return ruleSchema(milliseconds(least, most));
}

/** A whole number. */
export function countSchema(least: number, most?: number): v.GenericSchema<unknown, number> {
  return ruleSchema(wholeNumber(least, most));
}

/** A share of a whole: above 0, or from 0 on, to 1. */
export function shareSchema(fromZero = false): v.GenericSchema<unknown, number> {
  return ruleSchema(share(fromZero));
}

/** Text that is not empty. */
export function textSchema(): v.GenericSchema<unknown, string> {
  return ruleSchema(text());
}

/** A credential, wrapped so that nothing shows it: text that is not empty, or a function that gives it. */
export function secretSchema(
  isText: (value: string) => boolean = (value) => value !== "",
  what = "text or a function that gives it",
): v.GenericSchema<unknown, Secret> {
  const is = (value: unknown): boolean =>
    typeof value === "string" ? isText(value) : isFunction(value) || value instanceof Secret;
  return v.pipe(
    givenSchema<SecretSource | Secret>(is, what),
    v.transform((source) => (source instanceof Secret ? source : new Secret(source))),
  );
}

/** A certificate, a key, or several behind one another: PEM as text or bytes. */
export function pemSchema(): v.GenericSchema<unknown, string | Buffer> {
  return givenSchema(isPem, "PEM text or a Buffer of it");
}

/** One authority or several, PEM each. */
export function pemListSchema(): v.GenericSchema<unknown, string | Buffer | readonly (string | Buffer)[]> {
  const is = (value: unknown): boolean => (Array.isArray(value) ? value.every(isPem) : isPem(value));
  return givenSchema(is, "PEM text, a Buffer of it, or a list of them");
}

function isPem(value: unknown): boolean {
  return (typeof value === "string" && value !== "") || value instanceof Uint8Array;
}

/** An object, or something simpler; problems inside the object are reported as those of an object. */
export function eitherSchema<A, B>(
  object: v.GenericSchema<unknown, A>,
  isOther: (value: unknown) => boolean,
  other: v.GenericSchema<unknown, B>,
): v.GenericSchema<unknown, A | B> {
  const schema = v.lazy((value: unknown): v.GenericSchema<unknown, A | B> => (isOther(value) ? other : object));
  return Object.assign(schema, { options: [object] }); // where near misses of keys are looked up
}
