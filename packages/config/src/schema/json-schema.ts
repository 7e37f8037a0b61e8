import { PLAIN, type Field, type TextType } from "./field.ts";
import { merged } from "./valibot.ts";

/** The parts of JSON Schema that say what names and types there are. */
interface Parts {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Parts>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Parts;
  readonly items?: Parts;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Parts[];
  readonly oneOf?: readonly Parts[];
  readonly $ref?: string;
  readonly default?: unknown;
  readonly description?: string;
  readonly writeOnly?: boolean;
}

const TEXT_TYPES: Readonly<Record<string, TextType>> = {
  string: "string",
  number: "number",
  integer: "number",
  boolean: "boolean",
};

/** What a JSON Schema says of the settings. `writeOnly` marks a secret; what refers to itself is left to the schema. */
export function fieldOfJsonSchema(schema: unknown): Field {
  return read(schema as Parts); // every part of it is looked at before it is used
}

function read(schema: Parts): Field {
  const { default: fallback, description, writeOnly: secret = false } = schema;
  return { ...shapeOf(schema), fallback, description, secret, optional: fallback !== undefined };
}

function shapeOf(schema: Parts): Field {
  const { type, properties, additionalProperties: rest, items, anyOf, oneOf } = schema;
  const either = anyOf ?? oneOf;
  if (either !== undefined) return merged(either.filter((each) => each.type !== "null").map(read));
  if (properties !== undefined) return objectOf(schema, properties, rest !== undefined && rest !== false);
  if (type === "object" && typeof rest === "object") return { ...PLAIN, kind: "record", value: read(rest) };
  if (type === "array" && items !== undefined) return { ...PLAIN, kind: "list", item: read(items) };
  const words = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  const names = type === undefined ? (words ?? []).map((word) => typeof word) : [type].flat();
  const types = [...new Set(names.flatMap((name) => TEXT_TYPES[name] ?? []))];
  if (types.length === 0) return { ...PLAIN, kind: "opaque" };
  return { ...PLAIN, kind: "value", types, words: words?.map(String), mayBeEmpty: false };
}

function objectOf({ required = [] }: Parts, properties: Readonly<Record<string, Parts>>, open: boolean): Field {
  const entries = Object.entries(properties).map(([key, property]) => {
    const field = read(property);
    return [key, { ...field, optional: field.optional || !required.includes(key) }] as const;
  });
  return { ...PLAIN, kind: "object", open, entries: new Map(entries) };
}
