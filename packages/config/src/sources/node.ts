/** A value as a source gives it, with the place where it stands. */
export type Node = ValueNode | ListNode | MapNode;

/** A single value. */
export interface ValueNode {
  readonly kind: "value";
  readonly at: string;
  readonly value: unknown;
  /** True where it is text that stands for what the schema expects, as in a variable. */
  readonly isText: boolean;
}

/** A list. */
export interface ListNode {
  readonly kind: "list";
  readonly at: string;
  readonly items: readonly Node[];
}

/** An object. */
export interface MapNode {
  readonly kind: "map";
  readonly at: string;
  readonly entries: Map<string, Node>;
}

/** One thing that is wrong with a source. */
export interface SourceProblem {
  /** What could not be had, or was not understood; `undefined` for a value or a name. */
  readonly code?: "CONFIG_SOURCE_UNREADABLE" | "CONFIG_PARSE_FAILED";
  readonly path: string;
  readonly message: string;
  /** Where, such as `config/app.yaml:3:9`. */
  readonly source: string | undefined;
  readonly cause?: unknown;
  /** The path that a mistyped name most likely means: that it is missing needs no words of its own. */
  readonly meant?: string | undefined;
}

/** What a source says. */
export interface Reading {
  readonly node: MapNode | undefined;
  readonly problems: readonly SourceProblem[];
  /** What works and should be looked at. */
  readonly warnings?: readonly string[];
}

/** An empty object at a place. */
export function mapAt(at: string): MapNode {
  return { kind: "map", at, entries: new Map() };
}

/** Puts a node at a path; objects on the way are made. `false` where something else stands in the way. */
export function put(root: MapNode, keys: readonly string[], node: Node): boolean {
  let map = root;
  for (const key of keys.slice(0, -1)) {
    const inner = map.entries.get(key) ?? mapAt(node.at);
    if (inner.kind !== "map") return false;
    map.entries.set(key, inner);
    map = inner;
  }
  map.entries.set(keys.at(-1) ?? "", node);
  return true;
}

/** The node at a path. */
export function nodeAt(root: Node | undefined, keys: readonly string[]): Node | undefined {
  let node = root;
  for (const key of keys)
    node = node?.kind === "map" ? node.entries.get(key) : node?.kind === "list" ? node.items[Number(key)] : undefined;
  return node;
}

/** The later one where both say something; objects are merged by their names, all else is replaced. */
export function merge(before: Node | undefined, after: Node): Node {
  if (before?.kind !== "map" || after.kind !== "map") return after;
  const entries = new Map(before.entries);
  for (const [key, node] of after.entries) entries.set(key, merge(entries.get(key), node));
  return { kind: "map", at: after.at, entries };
}

/** How many values a node holds. */
export function countValues(node: Node | undefined): number {
  if (node === undefined) return 0;
  return node.kind === "map" ? [...node.entries.values()].reduce((sum, inner) => sum + countValues(inner), 0) : 1;
}
