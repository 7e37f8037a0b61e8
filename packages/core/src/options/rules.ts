import { MAX_TIMER_MS } from "../time/clock.ts";
import { wrongType } from "./problems.ts";

/** One thing that is wrong inside a value, below the option that it was given for. */
export interface Fault {
  /** Path from the value on, such as `intervalMs`; empty for the value itself. */
  readonly path: string;
  readonly message: string;
}

/**
 * What a value of an option must be. It says what is wrong with one: nothing, a sentence, or, for an object, what is
 * wrong with its members. Rules make the options of Steward's own functions cheap to check, also those made per call.
 */
export interface Rule {
  (value: unknown): string | readonly Fault[] | undefined;
  /** What a value must be, for the message about one that is missing or of another type. */
  readonly expects: string;
  /** True where the option must be given. */
  readonly required?: boolean;
}

type Check = (value: unknown) => string | readonly Fault[] | undefined;

/** Makes a rule of your own: a check that gives the sentence, and what it expects. */
export function rule(expects: string, check: Check): Rule {
  return Object.assign((value: unknown) => check(value), { expects });
}

/** A value that a test recognises; the message for any other is `must be ...`. */
export function recognised(is: (value: unknown) => boolean, what: string): Rule {
  return rule(what, (value) => (is(value) ? undefined : `must be ${what}`));
}

/** The same rule for an option that must be given. */
export function required(inner: Rule): Rule {
  return Object.assign((value: unknown) => inner(value), { expects: inner.expects, required: true });
}

function range(value: number, least: number, most: number, unit: string): string | undefined {
  if (value < least) return `must be at least ${least}${unit}`;
  return value > most ? `must be at most ${most}${unit}` : undefined;
}

/** A duration in ms that a timer can take. */
export function milliseconds(least = 1, most: number = MAX_TIMER_MS): Rule {
  return rule("number", (value) =>
    typeof value === "number" && !Number.isNaN(value) ? range(value, least, most, " ms") : wrongType("number", value),
  );
}

/** A whole number. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): Rule {
  return rule("number", (value) => {
    if (typeof value !== "number" || Number.isNaN(value)) return wrongType("number", value);
    return range(value, least, most, "") ?? (Number.isInteger(value) ? undefined : "must be a whole number");
  });
}

/** A share of a whole: 0 to 1; above 0 unless `fromZero`. */
export function share(fromZero = false): Rule {
  return rule("number", (value) => {
    if (typeof value !== "number" || Number.isNaN(value)) return wrongType("number", value);
    if (fromZero ? value < 0 : value <= 0) return fromZero ? "must be at least 0" : "must be above 0";
    return value > 1 ? "must be at most 1" : undefined;
  });
}

/** True or false. */
export function flag(): Rule {
  return rule("boolean", (value) => (typeof value === "boolean" ? undefined : wrongType("boolean", value)));
}

/** Text; `mayBeEmpty` where the empty one means something. */
export function text(mayBeEmpty = false): Rule {
  return rule("string", (value) => {
    if (typeof value !== "string") return wrongType("string", value);
    return value === "" && !mayBeEmpty ? "must not be empty" : undefined;
  });
}

const ENVIRONMENT = /^[a-z0-9][a-z0-9._-]{0,31}$/;

/** Name of an environment, such as `production`. It stands in statements, keys and names of connections as it is. */
export function environmentName(): Rule {
  const what = "1 to 32 lower-case letters, digits, -, _ and ., such as production";
  return rule("string", (value) => {
    if (typeof value !== "string") return wrongType("string", value);
    return ENVIRONMENT.test(value) ? undefined : `must be ${what}`;
  });
}

/** A function. */
export function func(): Rule {
  return rule("function", (value) => (typeof value === "function" ? undefined : wrongType("function", value)));
}

/** Anything at all: what only its user can know. */
export function anything(): Rule {
  return rule("a value", () => undefined);
}

/** One of a few words. */
export function oneOf(...words: readonly [string, ...string[]]): Rule {
  const expects = words.map((word) => JSON.stringify(word)).join(" | ");
  return rule(expects, (value) =>
    typeof value === "string" && words.includes(value) ? undefined : wrongType(expects, value, true),
  );
}

/** A list whose every entry follows a rule. */
export function listOf(entry: Rule): Rule {
  return rule("an array", (value) => {
    if (!Array.isArray(value)) return wrongType("an array", value);
    const faults = value.flatMap((each, i) => faultsAt(String(i), entry(each)));
    return faults.length === 0 ? undefined : faults;
  });
}

/** An object whose every value follows a rule, under any key. */
export function recordOf(entry: Rule): Rule {
  return rule("an object", (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return wrongType("an object", value);
    const faults = Object.entries(value).flatMap(([key, each]) => faultsAt(key, entry(each)));
    return faults.length === 0 ? undefined : faults;
  });
}

/** An object with these methods; `what` says what it is, such as `a clock`. */
export function withMethods(what: string, ...methods: readonly string[]): Rule {
  const has = (value: unknown): boolean =>
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    methods.every((method) => typeof Reflect.get(value, method) === "function");
  return recognised(has, what);
}

/** A signal to give up. */
export function signal(): Rule {
  return recognised((value) => value instanceof AbortSignal, "an AbortSignal");
}

/** One value itself, such as `false`, or what another rule allows. */
export function literalOr(literal: unknown, other: Rule): Rule {
  return rule(`${String(literal)} | ${other.expects}`, (value) => (value === literal ? undefined : other(value)));
}

/** What a function can be given in place of what it gives. */
export function funcOr(other: Rule): Rule {
  return rule(`function | ${other.expects}`, (value) => (typeof value === "function" ? undefined : other(value)));
}

/** What a rule found, below a key. */
export function faultsAt(key: string, found: ReturnType<Rule>): readonly Fault[] {
  if (found === undefined) return [];
  if (typeof found === "string") return [{ path: key, message: found }];
  return found.map(({ path, message }) => ({ path: path === "" ? key : `${key}.${path}`, message }));
}
