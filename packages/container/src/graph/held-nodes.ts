import { edgeOf, specOf, type EdgeSpec } from "@steward/core/container";
import { isHeldByContainer, type AnyDefinition, type Graph } from "./graph.ts";
import type { LiveNode } from "../lifecycle/live-node.ts";
import type { Generation } from "../lifecycle/state.ts";

/** What an override put in the place of a definition. */
type Constant = NonNullable<ReturnType<Graph["resolve"]>["constant"]>;

type Part = number | Constant;

/**
 * What a value was made from: instances of a generation, by their indices, and what overrides put in their place. The
 * instances are read when it is asked, because one that a lazy start adds meanwhile may have been used too.
 */
export class Held {
  readonly #parts: ReadonlySet<Part>;
  readonly #generation: Generation;

  constructor(parts: ReadonlySet<Part>, generation: Generation) {
    this.#parts = parts;
    this.#generation = generation;
  }

  /** Whether it is any of these. */
  hasAny(nodes: readonly LiveNode[]): boolean {
    const { live } = this.#generation;
    return nodes.some((node) => this.#parts.has(node.graph.index) && live[node.graph.index] === node);
  }

  /** Whether what is made of the other is the same. */
  isSame(other: Held): boolean {
    if (this.#parts.size !== other.#parts.size) return false;
    for (const part of this.#parts) {
      if (!other.#parts.has(part)) return false;
      if (typeof part === "number" && this.#generation.live[part] !== other.#generation.live[part]) return false;
    }
    return true;
  }
}

/** What the instances of a definition are made from: what it needs, and what all needs that it is made with. */
export class HeldNodes {
  readonly #graph: Graph;
  #known = new WeakMap<AnyDefinition, ReadonlySet<Part>>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** Overrides have changed. */
  forget(): void {
    this.#known = new WeakMap();
  }

  /** What a value is made from that is made now, in a generation. */
  of(definition: AnyDefinition, generation: Generation): Held {
    let known = this.#known.get(definition);
    if (known === undefined) this.#known.set(definition, (known = this.#find(definition)));
    return new Held(known, generation);
  }

  #find(definition: AnyDefinition): Set<Part> {
    const held = new Set<Part>();
    const seen = new Set([definition]);
    for (const one of seen)
      for (const need of Object.values(specOf(one).needs)) this.#add(one, edgeOf(need), held, seen); // a loop over a set reaches what is added meanwhile
    return held;
  }

  #add(asker: AnyDefinition, edge: EdgeSpec, held: Set<Part>, seen: Set<AnyDefinition>): void {
    if (edge.kind === "lazy" || edge.kind === "current") return;
    if (edge.kind === "when") {
      this.#add(asker, { kind: "plain", target: edge.condition, optional: false }, held, seen);
      this.#add(asker, edge.whenTrue, held, seen);
      return this.#add(asker, edge.whenFalse, held, seen);
    }
    const { definition, constant } = this.#graph.resolve(edge.target, asker);
    if (constant !== undefined) return void held.add(constant);
    const index = this.#graph.indexOfResolved(definition);
    const isShared = edge.kind === "plain" && isHeldByContainer(definition);
    if (isShared && index !== undefined) held.add(index);
    else seen.add(definition);
  }
}
