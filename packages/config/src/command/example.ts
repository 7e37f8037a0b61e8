import { expectation } from "../schema/field.ts";
import type { Model } from "../schema/read-schema.ts";
import { prefixOf, type Source } from "../sources/source.ts";

/** A `.env.example`: every variable with what it expects; those that may be left out are commented out. */
export function exampleOf({ names }: Model, sources: readonly Source[]): string {
  const prefix = prefixOf(sources);
  return names.leaves
    .map((leaf) => {
      const { field, optional } = leaf;
      const name = names.variableOf(leaf, prefix);
      const notes = [
        field.description,
        field.secret ? `a secret; or ${name}_FILE names a file that holds it` : expectation(field),
        optional ? undefined : "has to be set",
      ];
      const value = field.fallback === undefined || field.secret ? "" : textOf(field.fallback);
      return `# ${notes.filter((note) => note !== undefined).join("; ")}\n${optional ? "# " : ""}${name}=${value}`;
    })
    .join("\n\n");
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
