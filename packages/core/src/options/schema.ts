import type * as v from "valibot";
import { safeParse } from "valibot";
import { OptionsError, unknownKey, wrongType, type OptionsProblem } from "./problems.ts";

/** A valibot schema for an object of options. */
export type OptionsSchema<Output = unknown> = v.GenericSchema<unknown, Output>;

/** Checked options, or what is wrong with them. */
export type ParsedOptions<Output> =
  | { readonly options: Output; readonly problems: readonly [] }
  | { readonly options: undefined; readonly problems: readonly OptionsProblem[] };

/**
 * Checks options against a schema (a `v.strictObject`, so that typos are refused) and collects every problem.
 *
 * `undefined` means the default, `0` means 0, and the result is frozen. Objects of the user's with methods stay what they
 * are: those may use `this`.
 *
 * @param alsoKnown Keys that stand beside these options and may be meant by a mistyped one.
 */
export function parseOptions<Output>(
  resource: string,
  schema: OptionsSchema<Output>,
  given: unknown,
  alsoKnown: Iterable<string> = [],
): ParsedOptions<Output> {
  if (Array.isArray(given) && (schema as Parts).entries !== undefined)
    // to valibot an array is an object
    return { options: undefined, problems: [{ resource, path: "", message: wrongType("an object", given) }] };
  const kept = new Set<unknown>();
  const result = safeParse(schema, withoutUndefined(given, [schema], kept));
  if (result.success) return { options: deepFreeze(result.output, kept), problems: [] };
  return {
    options: undefined,
    problems: result.issues.flatMap((issue) => problemsOf(resource, schema, issue, [...alsoKnown])),
  };
}

/**
 * Checked options.
 * @throws {OPTIONS_INVALID} listing every problem.
 */
export function checkOptions<Output>(resource: string, schema: OptionsSchema<Output>, given: unknown): Output {
  const parsed = parseOptions(resource, schema, given);
  if (parsed.options === undefined) throw new OptionsError(parsed.problems);
  return parsed.options;
}

function problemsOf(
  resource: string,
  schema: OptionsSchema,
  issue: v.BaseIssue<unknown>,
  alsoKnown: readonly string[],
): OptionsProblem[] {
  const path = (issue.path ?? []).map((item) => String(item.key));
  if (issue.expected !== "never" || issue.type !== "strict_object")
    return [{ resource, path: path.join("."), message: messageOf(issue, schema, path) }];
  const parent = path.slice(0, -1);
  const known = knownKeys(schema as Parts, parent); // looked at only
  const near = parent.length === 0 ? [...known, ...alsoKnown] : known;
  return unknownKeys(known, issue).map((key) => ({
    resource,
    path: [...parent, key].join("."),
    message: unknownKey(key, near),
  }));
}

/** A strict object names only its first unknown key; we name all. */
function unknownKeys(known: readonly string[], issue: v.BaseIssue<unknown>): string[] {
  const object = issue.path?.at(-1)?.input as object; // it is the object in which the key stands
  return Object.keys(object).filter((key) => !known.includes(key));
}

function messageOf(issue: v.BaseIssue<unknown>, schema: OptionsSchema, path: readonly string[]): string {
  if (issue.kind !== "schema" || issue.type === "custom") return inOurWords(issue);
  const expected = inPlainWords(issue.expected);
  if (issue.received === "undefined")
    return `is missing: expected ${inPlainWords(expectedAt(schema as Parts, path)) ?? expected ?? "a value"}`;
  return wrongType(expected ?? "another value", issue.input, issue.type === "picklist");
}

const PLAIN_NAMES: Readonly<Record<string, string>> = { Object: "an object", Array: "an array", Function: "function" };

function inPlainWords(expected: string | null | undefined): string | undefined {
  return PLAIN_NAMES[expected ?? ""] ?? expected?.replace(/^\((.*)\)$/, "$1");
}

/** What valibot's own checks say where a schema gives no message, so that every option speaks with one voice. */
const OWN_WORDS: Readonly<Record<string, (requirement: string) => string>> = {
  min_value: (least) => `must be at least ${least}`,
  max_value: (most) => `must be at most ${most}`,
  gt_value: (limit) => `must be above ${limit}`,
  lt_value: (limit) => `must be below ${limit}`,
  multiple_of: (factor) => `must be a multiple of ${factor}`,
  min_length: (least) => `must have a length of at least ${least}`,
  max_length: (most) => `must have a length of at most ${most}`,
  non_empty: () => "must not be empty",
  integer: () => "must be a whole number",
  safe_integer: () => "must be a whole number",
  finite: () => "must be finite",
  url: () => "must be a URL",
  regex: (pattern) => `must match ${pattern}`,
};

function inOurWords(issue: v.BaseIssue<unknown>): string {
  if (!issue.message.startsWith("Invalid ")) return issue.message;
  const words = OWN_WORDS[issue.type];
  return words === undefined ? `is not a valid ${issue.type.replaceAll("_", " ")}` : words(String(issue.requirement)); // its own would show what was given
}

/** The parts of valibot's schemas that lead to the keys inside: of optionals, pipes, objects, unions and records. */
interface Parts {
  readonly type?: string;
  readonly expects?: string;
  readonly wrapped?: Parts;
  readonly entries?: Readonly<Record<string, Parts>>;
  readonly options?: readonly Parts[];
  readonly value?: Parts;
  readonly item?: Parts;
  /** See {@link givenSchema}. */
  readonly given?: boolean;
}

/** What a schema expects at a path; an object schema that misses a key names only the key. */
function expectedAt(schema: Parts, [head, ...rest]: readonly string[]): string | undefined {
  if (head === undefined) return schema.expects;
  return insideOf(schema, head).flatMap((inner) => expectedAt(inner, rest) ?? [])[0];
}

/** The keys that a schema knows at a path. */
function knownKeys(schema: Parts, [head, ...rest]: readonly string[]): string[] {
  if (head !== undefined) return insideOf(schema, head).flatMap((inner) => knownKeys(inner, rest));
  return [...new Set(objectsIn(schema).flatMap(({ entries = {} }) => Object.keys(entries)))];
}

/** The schemas of what stands under a key; in a record they are the same for any key. */
function insideOf(schema: Parts, key: string): Parts[] {
  return objectsIn(schema).flatMap(({ value, entries }) => value ?? entries?.[key] ?? []);
}

/** The objects and records that a value may be. */
function objectsIn(schema: Parts): Parts[] {
  if (schema.wrapped !== undefined) return objectsIn(schema.wrapped);
  if (schema.type === "record" || schema.entries !== undefined) return [schema];
  return (schema.options ?? []).flatMap(objectsIn);
}

/** Whether it has names inside: an object that is of no class. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Copies options, but for what is `kept`: an object with methods where a schema asks for one. */
function withoutUndefined(given: unknown, schemas: readonly Parts[], kept: Set<unknown>): unknown {
  const choices = schemas.flatMap(choicesOf);
  if (Array.isArray(given)) {
    const items = choices.flatMap((choice) => choice.item ?? (choice.given === true ? choice : []));
    for (const one of given) withoutUndefined(one, items, kept);
  }
  if (!isPlainObject(given)) return given;
  const isAskedFor = choices.some((choice) => choice.given === true) && objectsIn({ options: choices }).length === 0;
  if (isAskedFor && Object.values(given).some((value) => typeof value === "function")) {
    kept.add(given);
    return given;
  }
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  const inside = (key: string): Parts[] => schemas.flatMap((schema) => insideOf(schema, key));
  return Object.fromEntries(entries.map(([key, value]) => [key, withoutUndefined(value, inside(key), kept)]));
}

/** The schemas of which a value follows one. */
function choicesOf(schema: Parts): Parts[] {
  if (schema.wrapped !== undefined) return choicesOf(schema.wrapped);
  return schema.options?.flatMap(choicesOf) ?? [schema];
}

function deepFreeze<T>(value: T, kept: ReadonlySet<unknown>): T {
  if ((!isPlainObject(value) && !Array.isArray(value)) || kept.has(value)) return value;
  for (const inner of Object.values(value)) deepFreeze(inner, kept);
  return Object.freeze(value);
}
