import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import formats from "ajv-formats";
import { isStandardSchema, type InputSchema, type JsonSchema } from "./schema.ts";
import { Invalid, type Issue } from "./issue.ts";
import type { StandardSchemaV1 } from "@standard-schema/spec";

/** Checks a value that is there: gives it, coerced where it came as text, or what is wrong with it, or a promise of either. */
export type Validator = (value: unknown, path: readonly (string | number)[]) => unknown;

const addFormats = formats.default ?? formats; // CommonJS of either shape

/** Compiles schemas. One for each app, because schemas may refer to those that were added to it. */
export class Validators {
  readonly #text: Ajv;
  readonly #json: Ajv;

  /** @param shared Schemas that others may refer to by `$id`. */
  constructor(shared: Readonly<Record<string, unknown>>) {
    this.#text = ajv({ coerceTypes: "array" }, shared);
    this.#json = ajv({}, shared);
  }

  /** Makes what checks values of a schema. @param text True for values that arrive as text: numbers are read from it. A JSON body is taken as it is. */
  compile(schema: InputSchema, text: boolean): Validator {
    if (isStandardSchema(schema)) return (value, path) => standard(schema, value, path);
    const wrapped = { type: "object", properties: { value: schema } };
    const validate = (text ? this.#text : this.#json).compile(wrapped);
    const isInteger = schema.type === "integer" || itemsOf(schema)?.type === "integer";
    return text
      ? (value, path) => fromText(validate, value, path, isInteger)
      : (value, path) => checked(validate, value, path, false);
  }
}

function ajv(options: { readonly coerceTypes?: "array" }, shared: Readonly<Record<string, unknown>>): Ajv {
  const made = new Ajv({ ...options, allErrors: true, useDefaults: true, verbose: true, strict: false });
  addFormats(made);
  for (const [id, schema] of Object.entries(shared)) made.addSchema(schema as JsonSchema, id); // Fastify has checked that it is one
  return made;
}

function checked(
  validate: ValidateFunction,
  value: unknown,
  path: readonly (string | number)[],
  text: boolean,
): unknown {
  const holder = { value };
  if (validate(holder)) return holder.value;
  return new Invalid(
    (validate.errors ?? []).filter((error) => error.keyword !== "if").map((error) => issueOf(error, path, text)),
  );
}

/** A decimal number; hexadecimal digits, `Infinity` and blanks are none, though JavaScript reads them. */
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** Checks what came as text, and refuses numbers that were read from what is none, or are others than was written. */
function fromText(
  validate: ValidateFunction,
  value: unknown,
  path: readonly (string | number)[],
  isInteger: boolean,
): unknown {
  const written: readonly unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [value]; // ajv coerces in place
  const read = checked(validate, value, path, true);
  if (read instanceof Invalid) return asWritten(read, written, path.length);
  const numbers: readonly unknown[] = Array.isArray(read) ? read : [read];
  const wrong = numbers.findIndex((number, i) => typeof number === "number" && !says(written[i], number));
  if (wrong < 0) return read;
  const at = Array.isArray(read) ? [...path, wrong] : path;
  const params = { type: isInteger ? "integer" : "number" };
  const { code, message } = typeWords({ params, data: written[wrong] }, true);
  return new Invalid([{ path: at, code, message, input: written[wrong] }]);
}

/** Issues with what the client wrote, not with what was read from it. `depth`: how long the path of the whole value is. */
function asWritten({ issues }: Invalid, written: readonly unknown[], depth: number): Invalid {
  return new Invalid(
    issues.map((issue) => {
      const index = issue.path[depth] ?? 0;
      const isOwn = issue.path.length <= depth + 1 && typeof index === "number" && !Array.isArray(issue.input);
      return isOwn ? { ...issue, input: written[index] } : issue;
    }),
  );
}

function says(written: unknown, number: number): boolean {
  if (typeof written !== "string") return true;
  if (!DECIMAL.test(written) || !Number.isFinite(number)) return false;
  return Number.isSafeInteger(number) || !/^[+-]?\d+$/.test(written);
}

function itemsOf({ items }: JsonSchema): JsonSchema | undefined {
  return typeof items === "object" && items !== null ? (items as JsonSchema) : undefined; // ajv has compiled it
}

function standard(schema: StandardSchemaV1, value: unknown, path: readonly (string | number)[]): unknown {
  const result = schema["~standard"].validate(value);
  return result instanceof Promise
    ? result.then((settled) => standardValue(settled, value, path))
    : standardValue(result, value, path);
}

function standardValue(
  result: StandardSchemaV1.Result<unknown>,
  input: unknown,
  path: readonly (string | number)[],
): unknown {
  if (result.issues === undefined) return result.value;
  return new Invalid(
    result.issues.map((issue) => ({
      path: [...path, ...segments(issue)],
      code: "invalid",
      message: issue.message,
      input,
    })),
  );
}

function segments(issue: StandardSchemaV1.Issue): (string | number)[] {
  return (issue.path ?? [])
    .map((part) => (typeof part === "object" ? part.key : part))
    .map((key) => (typeof key === "number" ? key : String(key)));
}

function issueOf(error: ErrorObject, path: readonly (string | number)[], text: boolean): Issue {
  const below = error.instancePath.split("/").slice(2).map(unescape);
  const own: unknown = error.params["missingProperty"] ?? error.params["additionalProperty"];
  const at = own === undefined ? below : [...below, String(own)];
  const { code, message, limit } = words(error, text);
  const issue = { path: [...path, ...at], code, message, input: error.data };
  return limit === undefined ? issue : { ...issue, limit };
}

function unescape(segment: string): string | number {
  const text = segment.replaceAll("~1", "/").replaceAll("~0", "~");
  return /^\d+$/.test(text) ? Number(text) : text;
}

type Words = Pick<Issue, "code" | "message" | "limit">;

const TYPES: Readonly<Record<string, readonly [code: string, parsing: string, what: string]>> = {
  integer: ["int_type", "int_parsing", "integer"],
  number: ["float_type", "float_parsing", "number"],
  boolean: ["bool_type", "bool_parsing", "boolean"],
  string: ["string_type", "string_type", "string"],
  array: ["list_type", "list_type", "list"],
  object: ["dict_type", "dict_type", "dictionary"],
  null: ["none_required", "none_required", "null"],
};

function typeWords({ params, data }: Pick<ErrorObject, "params" | "data">, text: boolean): Words {
  const [code, parsing, what] = TYPES[String(params["type"])] ?? ["type", "type", String(params["type"])];
  const parsed = text && typeof data === "string" && parsing !== code;
  const article = /^[aeiou]/.test(what) ? "an" : "a";
  return {
    code: parsed ? parsing : code,
    message: `Input should be a valid ${what}${parsed ? `, unable to parse string as ${article} ${what}` : ""}`,
  };
}

const WORDS: Readonly<Record<string, (limit: unknown, params: Readonly<Record<string, unknown>>) => Words>> = {
  required: () => ({ code: "missing", message: "Field required" }),
  minimum: (limit) => ({ code: "greater_than_equal", message: `Input should be greater than or equal to ${limit}` }),
  exclusiveMinimum: (limit) => ({ code: "greater_than", message: `Input should be greater than ${limit}` }),
  maximum: (limit) => ({ code: "less_than_equal", message: `Input should be less than or equal to ${limit}` }),
  exclusiveMaximum: (limit) => ({ code: "less_than", message: `Input should be less than ${limit}` }),
  multipleOf: (_, { multipleOf }) => ({
    code: "multiple_of",
    message: `Input should be a multiple of ${String(multipleOf)}`,
  }),
  minLength: (limit) => ({
    code: "string_too_short",
    message: `String should have at least ${limit} character${limit === 1 ? "" : "s"}`,
  }),
  maxLength: (limit) => ({
    code: "string_too_long",
    message: `String should have at most ${limit} character${limit === 1 ? "" : "s"}`,
  }),
  minItems: (limit) => ({ code: "too_short", message: `List should have at least ${limit} items` }),
  maxItems: (limit) => ({ code: "too_long", message: `List should have at most ${limit} items` }),
  pattern: (_, { pattern }) => ({
    code: "string_pattern_mismatch",
    message: `String should match pattern '${String(pattern)}'`,
  }),
  enum: (_, { allowedValues }) => ({
    code: "enum",
    message: `Input should be ${(allowedValues as unknown[]).map((one) => `'${String(one)}'`).join(" or ")}`,
  }), // ajv's own list
  const: (_, { allowedValue }) => ({ code: "literal_error", message: `Input should be '${String(allowedValue)}'` }),
  additionalProperties: () => ({ code: "extra_forbidden", message: "Extra inputs are not permitted" }),
  format: (_, { format }) => ({
    code: `${String(format)}_parsing`,
    message: `Input should be a valid ${String(format)}`,
  }),
};

/** What FastAPI calls the limit of each keyword, and which of ajv's parameters it is. */
const LIMITS: Readonly<Record<string, readonly [name: string, parameter: string]>> = {
  minimum: ["ge", "limit"],
  exclusiveMinimum: ["gt", "limit"],
  maximum: ["le", "limit"],
  exclusiveMaximum: ["lt", "limit"],
  multipleOf: ["multiple_of", "multipleOf"],
  minLength: ["min_length", "limit"],
  maxLength: ["max_length", "limit"],
  minItems: ["min_length", "limit"],
  maxItems: ["max_length", "limit"],
  pattern: ["pattern", "pattern"],
};

function words(error: ErrorObject, text: boolean): Words {
  const { keyword, params, message = "is not valid" } = error;
  if (keyword === "type") return typeWords(error, text);
  const found = WORDS[keyword]?.(params["limit"], params) ?? { code: keyword, message };
  const named = LIMITS[keyword];
  return named === undefined ? found : { ...found, limit: { [named[0]]: params[named[1]] } };
}
