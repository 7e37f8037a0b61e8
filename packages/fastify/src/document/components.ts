import { serverError, type JsonSchema } from "@steward/server";

const NAME = "x-steward-name";

/** A schema whose names stand where a document keeps them until it is finished: `$id` means something else there. */
export function withNames(schema: JsonSchema): JsonSchema {
  return renamed(schema) as JsonSchema; // a schema stays one
}

function renamed(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(renamed);
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => (key === "$id" ? [NAME, inner] : [key, renamed(inner)])),
  );
}

/** The schemas that have names, once each. */
export class NamedSchemas {
  readonly #texts = new Map<string, string>();

  /** @throws {ROUTE_INVALID} when two schemas of one name are not the same. */
  add(schema: unknown): void {
    if (typeof schema !== "object" || schema === null) return;
    for (const inner of Object.values(schema)) this.add(inner);
    const name: unknown = "$id" in schema ? schema.$id : undefined;
    if (typeof name !== "string") return;
    const text = JSON.stringify(schema);
    if ((this.#texts.get(name) ?? text) !== text)
      throw serverError("ROUTE_INVALID", `two different schemas have the $id "${name}": give one of them another`);
    this.#texts.set(name, text);
  }
}

/** Puts schemas that have names among the components of a document, and refers to them. */
export function withComponents(document: Record<string, unknown>): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  const moved = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(moved);
    const { [NAME]: name, ...rest } = value as Readonly<Record<string, unknown>>; // any object
    const own = Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, moved(inner)]));
    if (typeof name !== "string") return own;
    found[name] = own;
    return { $ref: `#/components/schemas/${name}` };
  };
  const whole = moved(document) as { readonly components?: { readonly schemas?: object } };
  if (Object.keys(found).length === 0) return document;
  return { ...whole, components: { ...whole.components, schemas: { ...whole.components?.schemas, ...found } } };
}
