import { StewardError } from "@steward/core";
import type { StandardSchema } from "@steward/core/driver";
import type { ObjectField } from "./field.ts";
import { fieldOfJsonSchema } from "./json-schema.ts";
import { Names } from "./names.ts";
import { fieldOfValibot, notAnObject } from "./valibot.ts";

/** What is known of the settings before any of them is read. */
export interface Model {
  readonly resource: string;
  readonly schema: StandardSchema;
  readonly root: ObjectField;
  readonly names: Names;
}

/** What some libraries offer beside validation: their schema as JSON Schema. */
interface Convertible {
  readonly jsonSchema?: { readonly input: (options: { readonly target: string }) => unknown };
}

/**
 * Reads names, types and defaults out of a schema.
 * @throws {DEFINITION_INVALID} when the schema does not say them, is no object, or two of its names collide.
 */
export function readSchema(resource: string, schema: StandardSchema): Model {
  const standard = schema["~standard"] as StandardSchema["~standard"] & Convertible;
  const field =
    standard.vendor === "valibot" ? fieldOfValibot(schema) : fieldOfJsonSchema(jsonSchemaOf(resource, standard));
  if (field.kind !== "object") throw notAnObject(resource);
  return { resource, schema, root: field, names: new Names(resource, field) };
}

function jsonSchemaOf(resource: string, standard: StandardSchema["~standard"] & Convertible): unknown {
  const schema = standard.jsonSchema?.input({ target: "draft-2020-12" });
  if (schema !== undefined) return schema;
  const why = `${resource}: a schema of ${standard.vendor} does not say which names it has; use a version of it with Standard JSON Schema (zod 4.2, ArkType 2.1.28), or valibot`;
  throw new StewardError("DEFINITION_INVALID", why, { resource });
}
