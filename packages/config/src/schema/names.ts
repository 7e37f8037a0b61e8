import { StewardError } from "@steward/core";
import { nearest } from "@steward/core/driver";
import { leavesOf, type Leaf, type ObjectField } from "./field.ts";

/** Between the levels of a path, and in the names of variables. */
const LEVEL = "__";
/** At the end of a variable that names a file with the secret in it. */
export const FILE_SUFFIX = "_FILE";

/** The names that a schema gives to variables: one for each leaf, computed from its path. */
export class Names {
  readonly leaves: readonly Leaf[];
  readonly byPath: ReadonlyMap<string, Leaf>;
  /** Paths of leaves, and of the objects that they stand in. */
  readonly paths: readonly string[];

  /** @throws {DEFINITION_INVALID} when two leaves have the same name, or one is called as what every value has. */
  constructor(resource: string, root: ObjectField) {
    this.leaves = leavesOf(root);
    this.byPath = new Map(this.leaves.map((leaf) => [leaf.path, leaf]));
    const outer = this.leaves.flatMap(({ keys }) => keys.map((_, index) => keys.slice(0, index + 1).join(".")));
    this.paths = [...new Set(outer)];
    refuseForbidden(resource, this.leaves);
    refuseDefaults(resource, this.leaves);
    const variables = this.leaves.flatMap((leaf) => [
      [bareName(leaf), leaf.path] as const,
      ...(leaf.field.secret ? [[`${bareName(leaf)}${FILE_SUFFIX}`, leaf.path] as const] : []),
    ]);
    refuseTwice(resource, variables);
  }

  /** The variable of a leaf, under a prefix. */
  variableOf(leaf: Leaf, prefix: string): string {
    return leaf.field.variable ?? `${prefix}${computed(leaf)}`;
  }

  /** The leaves by the names of their variables under a prefix. */
  variables(prefix: string): Map<string, Leaf> {
    return new Map(this.leaves.map((leaf) => [this.variableOf(leaf, prefix), leaf]));
  }

  /** The path that a mistyped one most likely means: near as a whole, or with the same last part elsewhere. */
  nearest(keys: readonly string[], siblings: Iterable<string>): string | undefined {
    const last = keys.at(-1) ?? "";
    const near = nearest(last, siblings);
    if (near !== undefined) return near;
    return this.leaves.find((leaf) => leaf.keys.at(-1) === last)?.path ?? nearest(keys.join("."), this.paths);
  }
}

function bareName(leaf: Leaf): string {
  return leaf.field.variable ?? computed(leaf);
}

/** `database.maxConnections` is `DATABASE__MAX_CONNECTIONS`. */
function computed({ keys }: Leaf): string {
  return keys.map(upperSnake).join(LEVEL);
}

function upperSnake(key: string): string {
  return key
    .replaceAll(/([a-z\d])([A-Z])/g, "$1_$2")
    .replaceAll(/([A-Z]+)([A-Z][a-z])/g, "$1_$2")
    .replaceAll(/[^A-Za-z\d]+/g, "_")
    .toUpperCase();
}

/** Names that would change what an object is, and the one that every value of settings has. */
const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);

function refuseForbidden(resource: string, leaves: readonly Leaf[]): void {
  for (const { path, keys } of leaves) {
    const wrong =
      keys.find((key) => FORBIDDEN.has(key) || key.includes(".")) ?? (keys[0] === "get" ? "get" : undefined);
    if (wrong === undefined) continue;
    const why = `${resource}: "${path}" cannot be the name of a setting: "${wrong}" is taken, or has a dot in it`;
    throw new StewardError("DEFINITION_INVALID", why, { resource });
  }
}

function refuseDefaults(resource: string, leaves: readonly Leaf[]): void {
  const wrong = leaves.find(({ field }) => field.secret && field.fallback !== undefined && field.kind === "value");
  if (wrong === undefined) return;
  const why = `${resource}: "${wrong.path}" is a secret, and a secret has no default: it would be in the code`;
  throw new StewardError("DEFINITION_INVALID", why, { resource });
}

function refuseTwice(resource: string, names: readonly (readonly [string, string])[]): void {
  const seen = new Map<string, string>();
  for (const [name, path] of names) {
    const other = seen.get(name);
    seen.set(name, path);
    if (other === undefined) continue;
    const why = `${resource}: "${other}" and "${path}" would both be read from ${name}; rename one, or give it envName(...)`;
    throw new StewardError("DEFINITION_INVALID", why, { resource });
  }
}

/** Whether a name may stand in a file or a variable at all. */
export function isForbidden(key: string): boolean {
  return FORBIDDEN.has(key);
}
