import { StewardError } from "@steward/core";
import { PLAIN, type Field, type TextType } from "./field.ts";
import { marksOf } from "./mark.ts";

/** The parts of valibot's schemas that say what names and types there are. */
interface Parts {
  readonly kind?: string;
  readonly type?: string;
  readonly pipe?: readonly Parts[];
  readonly wrapped?: Parts;
  readonly default?: unknown;
  readonly entries?: Readonly<Record<string, Parts>>;
  readonly options?: readonly unknown[];
  readonly literal?: unknown;
  readonly item?: Parts;
  readonly value?: Parts;
  readonly description?: string;
}

const OPTIONAL = new Set(["optional", "nullish", "exact_optional", "undefinedable"]);
const TEXT_TYPES: Readonly<Record<string, TextType>> = { string: "string", number: "number", boolean: "boolean" };

/** What a valibot schema says of the settings. */
export function fieldOfValibot(schema: unknown): Field {
  return read(schema as Parts); // every part of it is looked at before it is used
}

function read(schema: Parts): Field {
  const { variable, secret = false } = marksOf(schema);
  const shape = shapeOf(schema);
  return { ...shape, variable: variable ?? shape.variable, secret: secret || shape.secret, ...descriptionOf(schema) };
}

function descriptionOf({ pipe = [] }: Parts): { readonly description?: string } {
  const found = pipe.flatMap(({ type, description }) => (type === "description" && description ? [description] : []));
  return found.length === 0 ? {} : { description: found[0] ?? "" };
}

function shapeOf(schema: Parts): Field {
  const { type = "", wrapped, entries, options, item, value } = schema;
  const first = schema.pipe?.[0];
  if (first !== undefined && first !== schema && first.type === type && first.pipe !== undefined)
    return simple(schema, read(first));
  if (wrapped !== undefined) {
    const given = typeof schema.default === "function" ? (schema.default as () => unknown)() : schema.default;
    const inner = read(wrapped);
    const optional = OPTIONAL.has(type) || (inner.optional && type !== "nonoptional");
    return { ...inner, optional, fallback: given ?? inner.fallback };
  }
  if (entries !== undefined) return objectOf(entries, type === "loose_object" || type === "object_with_rest");
  if (item !== undefined && type === "array") return holding("list", read(item));
  if (value !== undefined && type === "record") return holding("record", read(value));
  if ((type === "union" || type === "variant") && options !== undefined)
    return merged((options as readonly Parts[]).map(read)); // schemas, in both types
  return simple(schema, { ...PLAIN, kind: "opaque" });
}

/** What holds secrets is one as a whole. */
function holding(kind: "list" | "record", inner: Field): Field {
  const { secret } = inner;
  return kind === "list"
    ? { ...PLAIN, kind: "list", item: inner, secret }
    : { ...PLAIN, kind: "record", value: inner, secret };
}

function objectOf(entries: Readonly<Record<string, Parts>>, open: boolean): Field {
  return { ...PLAIN, kind: "object", open, entries: new Map(Object.entries(entries).map(([k, e]) => [k, read(e)])) };
}

function simple(schema: Parts, otherwise: Field): Field {
  const { type = "", literal, options } = schema;
  const mark = marksOf(schema);
  const value = { ...PLAIN, kind: "value", mayBeEmpty: mark.mayBeEmpty ?? false, words: undefined } as const;
  if (mark.types !== undefined) return { ...value, types: mark.types };
  const words = type === "literal" ? [literal] : type === "picklist" || type === "enum" ? options : undefined;
  if (words !== undefined) return { ...value, types: typesOf(words), words: words.map(String) };
  const text = Object.hasOwn(TEXT_TYPES, type) ? TEXT_TYPES[type] : undefined;
  return text === undefined ? otherwise : { ...value, types: [text] };
}

function typesOf(words: readonly unknown[]): TextType[] {
  return [...new Set(words.flatMap((word) => TEXT_TYPES[typeof word] ?? []))];
}

/** One field for what may be one of several. */
export function merged(fields: readonly Field[]): Field {
  const objects = fields.filter((field) => field.kind === "object");
  if (objects.length === fields.length) {
    const entries = new Map<string, Field>();
    for (const object of objects)
      for (const [key, field] of object.entries) {
        const before = entries.get(key);
        const one = before === undefined ? field : merged([before, field]);
        entries.set(key, { ...one, optional: true });
      }
    return { ...PLAIN, kind: "object", entries, open: objects.some(({ open }) => open) };
  }
  const values = fields.filter((field) => field.kind === "value");
  const secret = fields.some((field) => field.secret);
  if (values.length < fields.length) return { ...PLAIN, kind: "opaque", secret };
  const types = [...new Set(values.flatMap((field) => field.types))];
  const words = values.every((field) => field.words !== undefined)
    ? [...new Set(values.flatMap((field) => field.words ?? []))]
    : undefined;
  const mayBeEmpty = values.some((field) => field.mayBeEmpty);
  return { ...PLAIN, kind: "value", types, words, mayBeEmpty, secret };
}

/** The error of a schema that is no object at its top. */
export function notAnObject(resource: string): StewardError {
  return new StewardError("DEFINITION_INVALID", `${resource}: its schema has to be an object with known names`, {
    resource,
  });
}
