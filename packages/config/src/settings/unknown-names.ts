import type { Field } from "../schema/field.ts";
import { expectation } from "../schema/field.ts";
import type { Model } from "../schema/read-schema.ts";
import type { Node, SourceProblem } from "../sources/node.ts";

/** Names in what a source says that the schema does not know, with the ones that they most likely mean. */
export function unknownNames({ root, names }: Model, node: Node): SourceProblem[] {
  const problems: SourceProblem[] = [];
  const walk = (field: Field, at: Node, keys: readonly string[]): void => {
    if (field.kind === "opaque") return;
    if (at.kind === "list" && field.kind === "list")
      for (const [index, item] of at.items.entries()) walk(field.item, item, [...keys, String(index)]);
    else if (at.kind === "map" && field.kind === "record")
      for (const [key, inner] of at.entries) walk(field.value, inner, [...keys, key]);
    else if (at.kind === "map" && field.kind === "object")
      for (const [key, inner] of at.entries) {
        const known = field.entries.get(key);
        if (known !== undefined) walk(known, inner, [...keys, key]);
        else if (!field.open) problems.push(unknownName(inner, [...keys, key], [...field.entries.keys()]));
      }
    else if (at.kind !== "value" || field.kind === "object") problems.push(wrongKind(field, at, keys));
  };
  const unknownName = (inner: Node, keys: readonly string[], siblings: readonly string[]): SourceProblem => {
    const near = names.nearest(keys, siblings);
    const hint = near === undefined ? `known here: ${siblings.join(", ")}` : `did you mean "${near}"?`;
    const meant = near === undefined || !siblings.includes(near) ? near : [...keys.slice(0, -1), near].join(".");
    return { path: keys.join("."), message: `is not a setting; ${hint}`, source: inner.at, meant };
  };
  walk(root, node, []);
  return problems;
}

const SHOWN = { map: "an object", list: "a list", value: "a single value" };

function wrongKind(field: Field, { kind, at }: Node, keys: readonly string[]): SourceProblem {
  return { path: keys.join("."), message: `expected ${expectation(field)}, received ${SHOWN[kind]}`, source: at };
}
