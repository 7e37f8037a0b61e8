import { USABLE } from "@steward/core/container";
import { containerError } from "../errors.ts";
import type { Edge, Graph, GraphNode } from "../graph/graph.ts";
import { setNeed } from "../graph/set-need.ts";
import type { LiveNode } from "./live-node.ts";

/** One generation of instances: what askers hold together. A restart makes the next one. Only {@link ContainerState} writes it. */
export interface Generation {
  /** Values by node index, for the plans of scopes. `undefined` where a node is disabled, down, or has not started. */
  readonly values: readonly unknown[];
  /** Instances by node index. */
  readonly live: readonly (LiveNode | undefined)[];
  /** Changes with everything that changes in it, and is never that of another: plans that were made for it depend on it. */
  readonly version: number;
}

/** The index of an asker that is no node of the graph. */
export const OUTSIDE = -1;

/** What a start, a scope or an instance outside the graph takes its needs from. */
export interface NodeSource {
  live(index: number): LiveNode | undefined;
  /** The value that is about to take the place of a node's, for what starts with it; `undefined` where there is none. */
  next?(index: number): { readonly value: unknown } | undefined;
  /** What a `current(...)` edge hands over. */
  holder(index: number): { readonly current: unknown };
  /** Starts what a lazy edge points to and gives its value. `asker` is the node whose edge it is. */
  lazily(index: number, asker: number): Promise<unknown>;
}

class OwnGeneration implements Generation {
  readonly values: unknown[];
  readonly live: (LiveNode | undefined)[];
  version: number;
  /** Open scopes and uses that hold values of it. */
  pins = 0;

  constructor(live: (LiveNode | undefined)[], version: number) {
    this.live = live;
    this.values = live.map((node) => node?.valueIfUp);
    this.version = version;
  }

  put(node: LiveNode): void {
    this.live[node.graph.index] = node;
    this.values[node.graph.index] = node.valueIfUp;
  }

  holdsAny(nodes: readonly LiveNode[]): boolean {
    return nodes.some((node) => this.live[node.graph.index] === node);
  }
}

/** Waits until no open scope holds any of some instances. */
interface Waiter {
  readonly nodes: readonly LiveNode[];
  readonly wake: () => void;
}

/** Is called with the value of a node that is in use, whenever that is another. */
interface Follower {
  readonly index: number;
  readonly listener: (value: unknown) => void;
  value: unknown;
}

/**
 * What a container holds now: which instances are live, which a restart has retired, and who holds which generation.
 * The only writer of all that; everything else reads it here.
 */
export class ContainerState {
  readonly graph: Graph;
  readonly #onChange: () => void;
  #current: OwnGeneration;
  /** Earlier generations that open scopes still hold. */
  readonly #pinned = new Set<OwnGeneration>();
  /** Instances that were replaced and have not stopped yet. */
  readonly #retired = new Set<LiveNode>();
  readonly #waiters = new Set<Waiter>();
  readonly #followers = new Set<Follower>();
  #version = 0;

  /** @param onChange Called after every change of what is live. */
  constructor(graph: Graph, onChange: () => void) {
    this.graph = graph;
    this.#onChange = onChange;
    this.#current = new OwnGeneration(new Array<LiveNode | undefined>(graph.nodes.length).fill(undefined), 0);
  }

  get current(): Generation {
    return this.#current;
  }

  /** The instance of a node; `undefined` where it has not started. */
  live(index: number): LiveNode | undefined {
    return this.#current.live[index];
  }

  /** All live instances, in the order of the graph. */
  get nodes(): LiveNode[] {
    return this.#current.live.filter((node) => node !== undefined);
  }

  /** Every instance that has to be stopped: what is live, and what was replaced and has not stopped yet. */
  get toStop(): LiveNode[] {
    return [...this.nodes, ...this.#retired];
  }

  // --- changes -----------------------------------------------------------------------------------------------------

  /** Adds instances that are up; open scopes of this generation see them too. */
  publish(nodes: readonly LiveNode[]): void {
    if (nodes.length === 0) return;
    for (const node of nodes) this.#current.put(node);
    this.#changed(this.#current);
  }

  /** The value of an instance has changed: an optional resource that was down is up. */
  refresh(node: LiveNode): void {
    for (const generation of [this.#current, ...this.#pinned]) {
      if (generation.live[node.graph.index] !== node) continue;
      generation.put(node);
      this.#changed(generation);
    }
  }

  /** Begins the next generation: instances by index take the place of others, `undefined` that of one that went. */
  replace(next: ReadonlyMap<number, LiveNode | undefined>): void {
    const before = this.#current;
    const live = before.live.slice();
    for (const [index, node] of next) {
      const old = live[index];
      if (old !== undefined && old !== node) this.#retired.add(old);
      live[index] = node;
    }
    this.#current = new OwnGeneration(live, ++this.#version);
    if (before.pins > 0) this.#pinned.add(before);
    this.#showAll();
  }

  /** Retired instances that have stopped. */
  forget(nodes: readonly LiveNode[]): void {
    for (const node of nodes) this.#retired.delete(node);
  }

  /** What scopes are handed has changed otherwise, as by an override: plans have to be made anew. */
  touch(): void {
    for (const generation of [this.#current, ...this.#pinned]) this.#changed(generation);
  }

  #changed(generation: OwnGeneration): void {
    generation.version = ++this.#version;
    this.#showAll();
  }

  #showAll(): void {
    for (const follower of this.#followers) this.#show(follower);
    this.#onChange();
  }

  #show(follower: Follower): void {
    const value = this.#current.values[follower.index];
    if (value === follower.value) return;
    follower.value = value;
    if (value !== undefined) follower.listener(value);
  }

  /** Calls a listener, which throws nothing, with a node's value: now, and whenever another takes its place. The result ends that. */
  follow(index: number, listener: (value: unknown) => void): () => void {
    const follower: Follower = { index, listener, value: undefined };
    this.#followers.add(follower);
    this.#show(follower);
    return () => void this.#followers.delete(follower);
  }

  // --- who holds what ----------------------------------------------------------------------------------------------

  /** Holds the generation of this moment: what it holds is not stopped before {@link unpin}, unless time runs out. */
  pin(): Generation {
    this.#current.pins++;
    return this.#current;
  }

  /** A generation without anything, for a scope that may not hold anything yet. */
  pinNothing(): Generation {
    const nothing = new OwnGeneration([], ++this.#version);
    nothing.pins = 1;
    return nothing;
  }

  /** Gives a generation back. */
  unpin(generation: Generation): void {
    const own = generation as OwnGeneration; // every generation is made here
    if (--own.pins > 0) return;
    if (own !== this.#current) this.#pinned.delete(own);
    if (this.#waiters.size > 0) this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters) if (!this.#isHeld(waiter.nodes)) waiter.wake();
  }

  #isHeld(nodes: readonly LiveNode[]): boolean {
    return [this.#current, ...this.#pinned].some((generation) => generation.pins > 0 && generation.holdsAny(nodes));
  }

  /** Resolves once no generation that is held has any of these instances; rejects when the signal aborts first. */
  async released(nodes: readonly LiveNode[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#isHeld(nodes)) return;
    let waiter: Waiter | undefined;
    let onAbort: (() => void) | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        waiter = { nodes, wake: resolve };
        onAbort = () => reject(signal.reason as Error);
        this.#waiters.add(waiter);
        signal.addEventListener("abort", onAbort, { once: true });
      });
    } finally {
      if (waiter !== undefined) this.#waiters.delete(waiter);
      if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
    }
  }
}

/** What a node's askers are handed. */
export function valueAt(from: Pick<NodeSource, "live" | "next">, index: number): unknown {
  const next = from.next?.(index);
  return next === undefined ? from.live(index)?.valueIfUp : next.value;
}

/** The holder that a `current(...)` edge hands over. */
export function holderOf(
  graph: Graph,
  live: (index: number) => LiveNode | undefined,
  index: number,
  next: () => { readonly value: unknown } | undefined = () => undefined,
): { readonly current: unknown } {
  return new Holder({ graph, live, index, next });
}

const SOURCE = Symbol("source");

/** Where a holder finds its value. */
interface HolderSource {
  readonly graph: Graph;
  readonly live: (index: number) => LiveNode | undefined;
  readonly index: number;
  readonly next: () => { readonly value: unknown } | undefined;
}

/** One getter for all, as for what functions of a definition are handed: one each costs every holder a shape of its own. */
class Holder {
  declare readonly current: unknown;
  declare readonly [SOURCE]: HolderSource;

  constructor(source: HolderSource) {
    Object.defineProperty(this, SOURCE, { value: source });
    Object.defineProperty(this, "current", Holder.#current);
  }

  get [USABLE](): boolean {
    const { live, index } = this[SOURCE];
    return live(index)?.isUsable === true;
  }

  static readonly #current: PropertyDescriptor & ThisType<Holder> = {
    enumerable: true,
    get() {
      const { graph, live, index, next } = this[SOURCE];
      const staged = next();
      if (staged !== undefined) return staged.value;
      const node = live(index);
      if (node === undefined)
        throw containerError("NOT_IN_GRAPH", `"${graph.nodes[index]?.name}" has not been started`);
      return node.value;
    },
  };
}

/** What an edge hands to its asker. */
export function valueOfEdge(
  graph: Graph,
  from: NodeSource,
  asker: { readonly name: string; readonly index: number },
  edge: Edge,
): unknown {
  if (edge.kind === "when") return valueOfEdge(graph, from, asker, chosen(from, edge));
  const disabled = from.live(edge.to)?.disabled === true || graph.nodes[edge.to]?.spec.enabled === false;
  if (disabled && !edge.optional) throw disabledError(asker.name, graph.nodes[edge.to]);
  if (disabled) return undefined;
  if (edge.kind === "lazy") return () => from.lazily(edge.to, asker.index);
  return edge.kind === "current" ? from.holder(edge.to) : valueAt(from, edge.to);
}

/** The branch that a conditional edge takes. */
export function chosen(from: Pick<NodeSource, "live" | "next">, edge: Extract<Edge, { kind: "when" }>): Edge {
  return edge.test(valueAt(from, edge.condition)) ? edge.whenTrue : edge.whenFalse;
}

/** The instances that an asker keeps through an edge. */
export function heldThrough(from: Pick<NodeSource, "live" | "next">, edge: Edge): LiveNode[] {
  if (edge.kind === "when") {
    const condition = from.live(edge.condition);
    return [...(condition === undefined ? [] : [condition]), ...heldThrough(from, chosen(from, edge))];
  }
  const live = edge.kind === "plain" ? from.live(edge.to) : undefined;
  return live === undefined ? [] : [live];
}

function disabledError(asker: string, node: GraphNode | undefined): Error {
  const name = node?.name ?? "";
  return containerError(
    "GRAPH_DISABLED",
    `"${asker}" needs "${name}", which configuration disabled: need it as optional(${name})`,
    { resource: asker },
  );
}

/** What a node is handed as its needs. */
export function needsOf(graph: Graph, from: NodeSource, node: GraphNode): Record<string, unknown> {
  const needs: Record<string, unknown> = {};
  for (const edge of node.edges) setNeed(needs, edge.key, valueOfEdge(graph, from, node, edge));
  return needs;
}

/** For every node, the nodes that have an edge to it. */
export function dependantsOf(graph: Graph): number[][] {
  const dependants = graph.nodes.map((): number[] => []);
  for (const node of graph.nodes)
    for (const edge of node.edges) for (const to of indicesOf(edge)) dependants[to]?.push(node.index);
  return dependants;
}

/** Every index that an edge may lead to. */
export function indicesOf(edge: Edge): number[] {
  return edge.kind === "when" ? [edge.condition, ...indicesOf(edge.whenTrue), ...indicesOf(edge.whenFalse)] : [edge.to];
}

/** Everything that a node needs, directly or through others. */
export function neededBy(graph: Graph, node: GraphNode): Set<GraphNode> {
  const found = new Set<GraphNode>();
  const edges = [...node.edges];
  for (const edge of edges)
    for (const index of indicesOf(edge)) {
      const needed = graph.nodes[index];
      if (needed === undefined || found.has(needed)) continue;
      found.add(needed);
      edges.push(...needed.edges); // the loop reaches what is added meanwhile
    }
  return found;
}
