import * as v from "valibot";
import { StewardError } from "./errors.ts";

/** One thing that is wrong with the options of a resource. */
export interface OptionsProblem {
  /** Name of the resource. */
  readonly resource: string;
  /** Path of the option, such as `tls.ca`; empty for the options as a whole. */
  readonly path: string;
  /** What is wrong and what would be right. */
  readonly message: string;
}

/** The options of something were refused; `problems` lists everything that is wrong with all of them. */
export class OptionsError extends StewardError {
  override readonly name = "OptionsError";
  readonly problems: readonly OptionsProblem[];

  constructor(problems: readonly OptionsProblem[]) {
    const lines = problems.map((p) => `  ${p.resource}${p.path === "" ? "" : `.${p.path}`}: ${p.message}`);
    super(
      "OPTIONS_INVALID",
      `${problems.length === 1 ? "1 option is" : `${problems.length} options are`} wrong:\n${lines.join("\n")}`,
      {
        resource: problems[0]?.resource,
      },
    );
    this.problems = problems;
  }
}

/** A valibot schema for an object of options. */
export type OptionsSchema<Output = unknown> = v.GenericSchema<unknown, Output>;

/** Checked options, or what is wrong with them. */
export type ParsedOptions<Output> =
  | { readonly options: Output; readonly problems: readonly [] }
  | { readonly options: undefined; readonly problems: readonly OptionsProblem[] };

/**
 * Checks options against a schema (a `v.strictObject`, so that typos are refused) and collects every problem.
 *
 * `undefined` means the default, `0` means 0, and the result is frozen.
 */
export function parseOptions<Output>(
  resource: string,
  schema: OptionsSchema<Output>,
  given: unknown,
): ParsedOptions<Output> {
  const result = v.safeParse(schema, withoutUndefined(given));
  if (result.success) return { options: deepFreeze(result.output), problems: [] };
  return { options: undefined, problems: result.issues.flatMap((issue) => problemsOf(resource, schema, issue)) };
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

function problemsOf(resource: string, schema: OptionsSchema, issue: v.BaseIssue<unknown>): OptionsProblem[] {
  const path = (issue.path ?? []).map((item) => String(item.key));
  if (issue.expected !== "never" || issue.type !== "strict_object")
    return [{ resource, path: path.join("."), message: typeMessage(issue, schema, path) }];
  const parent = path.slice(0, -1);
  return unknownKeys(schema, parent, issue).map((key) => ({
    resource,
    path: [...parent, key].join("."),
    message: unknownKeyMessage(schema, [...parent, key]),
  }));
}

/** A strict object names only its first unknown key; we name all. */
function unknownKeys(schema: OptionsSchema, parent: readonly string[], issue: v.BaseIssue<unknown>): string[] {
  const item = issue.path?.at(-1);
  const known = knownKeys(schema, parent);
  const given = typeof item?.input === "object" && item.input !== null ? Object.keys(item.input) : [];
  const unknown = given.filter((key) => !known.includes(key));
  return unknown.length > 0 ? unknown : [String(item?.key)];
}

function typeMessage(issue: v.BaseIssue<unknown>, schema: OptionsSchema, path: readonly string[]): string {
  if (issue.kind !== "schema" || issue.type === "custom") return issue.message;
  if (issue.received === "undefined")
    return `is missing: expected ${expectedAt(schema, path) ?? issue.expected ?? "a value"}`;
  return `expected ${issue.expected ?? "another value"}, received ${shown(issue)}`;
}

/** A secret may stand in the wrong place, so only numbers, booleans and short unions show what was received. */
function shown(issue: v.BaseIssue<unknown>): string {
  const { input } = issue;
  return typeof input === "number" || typeof input === "boolean" || input === null
    ? String(input)
    : typeof input === "string" && issue.type === "picklist"
      ? JSON.stringify(input)
      : nameOfType(input);
}

function nameOfType(input: unknown): string {
  return Array.isArray(input) ? "an array" : typeof input === "object" ? "an object" : `a ${typeof input}`;
}

function unknownKeyMessage(schema: OptionsSchema, path: readonly string[]): string {
  const known = knownKeys(schema, path.slice(0, -1));
  const near = nearest(path.at(-1) ?? "", known);
  return near === undefined
    ? `is not an option; known: ${known.join(", ")}`
    : `is not an option; did you mean "${near}"?`;
}

/** What a schema expects at a path; an object schema that misses a key tells only the key. */
function expectedAt(schema: unknown, path: readonly string[]): string | undefined {
  const [head, ...rest] = path;
  if (head === undefined)
    return typeof schema === "object" && schema !== null && "expects" in schema && typeof schema.expects === "string"
      ? schema.expects
      : undefined;
  return objectsIn(schema).flatMap((entries) => (head in entries ? (expectedAt(entries[head], rest) ?? []) : []))[0];
}

type Entries = Readonly<Record<string, unknown>>;

/** The keys that a schema knows at a path, through optionals, pipes, records and unions. */
function knownKeys(schema: unknown, path: readonly string[]): string[] {
  const [head, ...rest] = path;
  const record = recordIn(schema);
  if (record !== undefined && head !== undefined) return knownKeys(record, rest);
  const objects = objectsIn(schema);
  if (head === undefined) return [...new Set(objects.flatMap((entries) => Object.keys(entries)))];
  return objects.flatMap((entries) => (head in entries ? knownKeys(entries[head], rest) : []));
}

/** What the values of a record must be; its keys can be anything. */
function recordIn(schema: unknown): unknown {
  if (typeof schema !== "object" || schema === null) return undefined;
  if ("wrapped" in schema) return recordIn(schema.wrapped);
  return "type" in schema && schema.type === "record" && "value" in schema ? schema.value : undefined;
}

function objectsIn(schema: unknown): Entries[] {
  if (typeof schema !== "object" || schema === null) return [];
  if ("entries" in schema && typeof schema.entries === "object" && schema.entries !== null)
    return [schema.entries as Entries]; // an object schema
  if ("wrapped" in schema) return objectsIn(schema.wrapped);
  if ("options" in schema && Array.isArray(schema.options)) return schema.options.flatMap(objectsIn);
  return [];
}

/** The known word that is nearest to a mistyped one, if any is near. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = sameLetters(word, candidate) ? 0 : editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** `timeout` is meant where `timeoutMs` stands. */
function sameLetters(word: string, candidate: string): boolean {
  const [a, b] = [word.toLowerCase(), candidate.toLowerCase()];
  return a === b || `${a}ms` === b || `${a}bytes` === b;
}

/** Levenshtein's distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)),
      );
    row = next;
  }
  return row[b.length] ?? 0;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function withoutUndefined(given: unknown): unknown {
  if (!isPlainObject(given)) return given;
  return Object.fromEntries(
    Object.entries(given).flatMap(([key, value]) => (value === undefined ? [] : [[key, withoutUndefined(value)]])),
  );
}

function deepFreeze<T>(value: T): T {
  if (!isPlainObject(value) && !Array.isArray(value)) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
