import type { SchemaIssue, StandardSchema } from "@steward/core/driver";

/** The type of the values that a schema lets through. */
export type OutputOf<S extends StandardSchema> = NonNullable<S["~standard"]["types"]>["output"];

/** The keys of an issue, from the outermost on. */
export function keysOf({ path = [] }: SchemaIssue): string[] {
  return path.map((part) => String(typeof part === "object" ? part.key : part));
}
