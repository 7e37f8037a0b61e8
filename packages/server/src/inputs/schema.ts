import type { StandardSchemaV1 } from "@standard-schema/spec";

/** A JSON schema, as OpenAPI 3.1 has it. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema | boolean;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly $ref?: string;
  readonly [keyword: string]: unknown;
}

/** The type of an input: a JSON schema, or a schema of valibot, Zod, ArkType or any other library of the Standard Schema. */
export type InputSchema = JsonSchema | StandardSchemaV1;

/** The value that a schema describes; `unknown` where the schema says too little for TypeScript. */
export type SchemaValue<S> = S extends StandardSchemaV1
  ? StandardSchemaV1.InferOutput<S>
  : S extends { readonly const: infer C }
    ? C
    : S extends { readonly enum: readonly (infer E)[] }
      ? E
      : S extends { readonly type: infer T }
        ? Typed<T, S>
        : unknown;

type Typed<T, S> = T extends readonly (infer Each)[] ? Named<Each, S> : Named<T, S>;

type Named<T, S> = T extends "string"
  ? string
  : T extends "integer" | "number"
    ? number
    : T extends "boolean"
      ? boolean
      : T extends "null"
        ? null
        : T extends "array"
          ? S extends { readonly items: infer I }
            ? SchemaValue<I>[]
            : unknown[]
          : T extends "object"
            ? ObjectValue<S>
            : unknown;

type ObjectValue<S> = S extends { readonly properties: infer P }
  ? { readonly [K in keyof P as K extends RequiredOf<S> ? K : never]: SchemaValue<P[K]> } & {
      readonly [K in keyof P as K extends RequiredOf<S> ? never : K]?: SchemaValue<P[K]>;
    }
  : Readonly<Record<string, unknown>>;

type RequiredOf<S> = S extends { readonly required: readonly (infer R)[] } ? R : never;

/** Whether it is a Standard Schema, not a JSON schema. */
export function isStandardSchema(schema: InputSchema): schema is StandardSchemaV1 {
  return "~standard" in schema;
}

interface StandardJson {
  readonly jsonSchema?: { readonly input?: (options: { readonly target: string }) => JsonSchema };
}

/** The JSON schema of an input, for documents; `undefined` where its library gives none. */
export function jsonSchemaOf(schema: InputSchema): JsonSchema | undefined {
  if (!isStandardSchema(schema)) return schema;
  const { jsonSchema } = schema["~standard"] as StandardJson; // an optional part of the standard, which its base types omit
  try {
    const found = jsonSchema?.input?.({ target: "draft-2020-12" });
    if (found === undefined) return undefined;
    const { $schema: _, ...rest } = found;
    return rest;
  } catch {
    return undefined; // a library may refuse what JSON schema cannot say
  }
}

/** True for a schema that has a value for what is missing, or needs none. */
export function mayBeMissing(schema: InputSchema): boolean {
  if (!isStandardSchema(schema)) return "default" in schema;
  try {
    const result = schema["~standard"].validate(undefined);
    return !(result instanceof Promise) && result.issues === undefined;
  } catch {
    return false; // a transformation that expects a value
  }
}

/** True for a plain string without rules: nothing has to be checked. */
export function isPlainString(schema: InputSchema): boolean {
  if (isStandardSchema(schema) || schema.type !== "string") return false;
  return Object.keys(schema).every((key) => HARMLESS.has(key));
}

const HARMLESS = new Set(["type", "default", "description", "title", "examples", "example", "deprecated"]);
