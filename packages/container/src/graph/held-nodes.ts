import { edgeOf, specOf, type EdgeSpec } from "@steward/core";
import { isHeldByContainer, type AnyDefinition, type Graph } from "./graph.ts";
import type { LiveNode } from "../lifecycle/live-node.ts";
import type { Generation } from "../lifecycle/state.ts";

/** Which nodes of the graph the instances of a definition hold: those it needs, and those of all it is made with. */
export class HeldNodes {
  readonly #graph: Graph;
  #known = new WeakMap<AnyDefinition, ReadonlySet<number>>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** Overrides have changed. */
  forget(): void {
    this.#known = new WeakMap();
  }

  /** Whether an instance that was made in a generation holds any of these. */
  holdsAny(definition: AnyDefinition, generation: Generation, nodes: readonly LiveNode[]): boolean {
    const held = this.#heldBy(definition);
    return nodes.some((node) => held.has(node.graph.index) && generation.live[node.graph.index] === node);
  }

  /** Whether all that a definition holds is the same in both generations. */
  holdsTheSame(definition: AnyDefinition, one: Generation, other: Generation): boolean {
    if (one === other) return true;
    for (const index of this.#heldBy(definition)) if (one.live[index] !== other.live[index]) return false;
    return true;
  }

  #heldBy(definition: AnyDefinition): ReadonlySet<number> {
    let held = this.#known.get(definition);
    if (held === undefined) this.#known.set(definition, (held = this.#find(definition)));
    return held;
  }

  #find(definition: AnyDefinition): Set<number> {
    const held = new Set<number>();
    const seen = new Set([definition]);
    for (const one of seen)
      for (const need of Object.values(specOf(one).needs)) this.#add(one, edgeOf(need), held, seen); // a set visits what is added meanwhile
    return held;
  }

  #add(asker: AnyDefinition, edge: EdgeSpec, held: Set<number>, seen: Set<AnyDefinition>): void {
    if (edge.kind === "lazy" || edge.kind === "current") return;
    if (edge.kind === "when") {
      this.#add(asker, { kind: "plain", target: edge.condition, optional: false }, held, seen);
      this.#add(asker, edge.whenTrue, held, seen);
      return this.#add(asker, edge.whenFalse, held, seen);
    }
    const { definition, constant } = this.#graph.resolve(edge.target, asker);
    if (constant !== undefined) return;
    const index = this.#graph.indexOf(definition, asker) ?? this.#graph.indexOf(definition);
    const isShared = edge.kind === "plain" && isHeldByContainer(definition);
    if (isShared && index !== undefined) held.add(index);
    else seen.add(definition);
  }
}
