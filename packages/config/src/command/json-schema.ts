import type { Field, ObjectField, TextType } from "../schema/field.ts";

/** The settings as JSON Schema, so that editors complete and check JSON and YAML files. */
export function jsonSchemaOf(root: ObjectField): object {
  return { $schema: "https://json-schema.org/draft/2020-12/schema", ...schemaOf(root) };
}

function schemaOf(field: Field): object {
  const { description, fallback, secret } = field;
  return {
    ...typeOf(field),
    ...(description === undefined ? {} : { description }),
    ...(fallback === undefined || secret ? {} : { default: fallback }),
    ...(secret ? { writeOnly: true } : {}),
  };
}

const TYPES: Readonly<Record<TextType, readonly string[]>> = {
  string: ["string"],
  number: ["number"],
  boolean: ["boolean"],
  duration: ["number", "string"],
  bytes: ["number", "string"],
};

function typeOf(field: Field): object {
  switch (field.kind) {
    case "opaque":
      return {};
    case "list":
      return { type: "array", items: schemaOf(field.item) };
    case "record":
      return { type: "object", additionalProperties: schemaOf(field.value) };
    case "object": {
      // What may come from a variable or a secret file need not stand in the file, so nothing is required.
      const properties = Object.fromEntries([...field.entries].map(([key, inner]) => [key, schemaOf(inner)]));
      return { type: "object", properties, additionalProperties: field.open };
    }
    case "value": {
      const types = [...new Set(field.types.flatMap((type) => TYPES[type]))];
      const words = field.words === undefined ? {} : { enum: field.words.map((word) => typed(word, types)) };
      return { type: types.length === 1 ? types[0] : types, ...words };
    }
  }
}

function typed(word: string, types: readonly string[]): unknown {
  if (types.includes("string")) return word;
  return types.includes("boolean") ? word === "true" : Number(word);
}
