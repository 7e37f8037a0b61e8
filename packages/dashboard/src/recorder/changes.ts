import type { DashboardNode, DashboardNeed } from "../view.ts";

/** What has changed of a resource; `null` stands for what is not known any more. All of it for one that is new. */
export type NodeChange = { readonly name: string } & {
  readonly [K in Exclude<keyof DashboardNode, "name">]?: DashboardNode[K] | null;
};

/** Compares resources with what was said of them last. */
export class Changes {
  #last = new Map<string, DashboardNode>();

  /** Forgets what was said. */
  clear(): void {
    this.#last.clear();
  }

  /** What is new since the last call, and the names that are there no longer. */
  take(nodes: readonly DashboardNode[]): { readonly changed: NodeChange[]; readonly gone: string[] } {
    const before = this.#last;
    this.#last = new Map(nodes.map((node) => [node.name, node]));
    const changed: NodeChange[] = [];
    for (const node of nodes) {
      const change = changeOf(before.get(node.name), node);
      if (change !== undefined) changed.push(change);
    }
    return { changed, gone: [...before.keys()].filter((name) => !this.#last.has(name)) };
  }
}

/** Looked at four times a second for each resource, so nothing is made where nothing has changed. */
function changeOf(before: DashboardNode | undefined, node: DashboardNode): NodeChange | undefined {
  if (before === undefined) return whole(node);
  let change: { name: string; [key: string]: unknown } | undefined;
  for (const key in node) {
    const now = node[key as keyof DashboardNode]; // its own keys
    const then = before[key as keyof DashboardNode]; // made by the same function
    if (now === then || (Array.isArray(now) && Array.isArray(then) && isSameList(now, then))) continue;
    change ??= { name: node.name };
    change[key] = now ?? null;
  }
  return change;
}

/** A viewer may have seen more of it in its view: what is not known is said too. */
function whole(node: DashboardNode): NodeChange {
  const known = Object.entries(node).map(([key, value]: [string, unknown]) => [key, value ?? null]);
  return { name: node.name, ...(Object.fromEntries(known) as object) }; // the keys of the node
}

type Item = string | DashboardNeed;

function isSameList(now: readonly Item[], then: readonly Item[]): boolean {
  return now.length === then.length && now.every((item, i) => isSame(item, then[i]));
}

function isSame(a: Item, b: Item | undefined): boolean {
  if (typeof a === "string" || typeof b === "string" || b === undefined) return a === b;
  return a.name === b.name && a.key === b.key && a.kind === b.kind && a.optional === b.optional;
}
