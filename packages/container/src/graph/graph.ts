import type { Binding } from "@steward/core";
import {
  type AnyDefinition,
  edgeOf,
  type EdgeSpec,
  type Need,
  OptionsError,
  rootsOf,
  type Spec,
  specOf,
} from "@steward/core/container";
import { containerError } from "../errors.ts";
import { isHeldByContainer, mayBeDown, type Edge, type GraphNode, type Override, type Overrides } from "./node.ts";
import { absent, captive, cycle, inputMissing, notHeld, replacesNothing } from "./errors.ts";
import { areInPlace, numberedName, uniqueName } from "./names.ts";
import { Replacements, type Resolution } from "./replacements.ts";
import { refuseOutside, type Allowed } from "./strict.ts";

export {
  isHeldByContainer,
  mayBeDown,
  targetsOf,
  targetsOfNeed,
  type Edge,
  type GraphNode,
  type Override,
  type Overrides,
} from "./node.ts";
export type { AnyDefinition };

const RANK = { process: 4, application: 3, session: 2, request: 1, handler: 0 } as const;

/** Everything that the roots need, compiled once: application resources as nodes, and which of them scopes may use. */
export class Graph {
  readonly nodes: GraphNode[] = [];
  /** Names to indices. */
  readonly byName: Map<string, number> = new Map();
  /** Indices that definitions of shorter lifetimes may use. */
  readonly usedByScopes: Set<number> = new Set();
  /** Edges from definitions of shorter lifetimes, which the container has to have started before a scope opens. */
  readonly scopeEdges: Edge[] = [];
  readonly #roots: readonly AnyDefinition[];
  readonly #overrides: Overrides;
  readonly #replacements: Replacements;
  /** Values of inputs; `undefined` where the graph is only to be shown. */
  readonly #inputs: ReadonlyMap<AnyDefinition, unknown> | undefined;
  /** Set for a strict container. */
  readonly #allowed: Allowed;
  readonly #index = new Map<AnyDefinition, number>();
  /** Definitions of shorter lifetimes that the roots need. */
  #scoped = new Set<AnyDefinition>();
  /** Those that a scope asks for: added for it alone, because some are made for one scope. */
  #asked = new Set<AnyDefinition>();
  readonly #path: AnyDefinition[] = [];
  /** True once the roots were added: what scopes ask for later changes nothing of what has to be started first. */
  #isComplete = false;

  constructor(
    roots: readonly AnyDefinition[],
    overrides: Overrides,
    inputs: readonly Binding[] | undefined,
    allowed?: Allowed,
  ) {
    this.#roots = roots;
    this.#allowed = allowed;
    this.#overrides = overrides;
    this.#replacements = new Replacements(overrides);
    this.#inputs = inputs === undefined ? undefined : new Map(inputs.map((binding) => [binding.input, binding.value]));
    for (const root of roots) this.#include(root, undefined);
    for (const { definition } of this.nodes) for (const root of rootsOf(definition)) this.#include(root, undefined); // it grows meanwhile
    this.#isComplete = true;
    refuseOutside("container", [...this.nodes.map(definitionOf), ...this.#scoped], overrides, allowed);
    checkOptions(this.nodes);
  }

  /** Whether the container was given nothing at all. */
  get isEmpty(): boolean {
    return this.#roots.length === 0;
  }

  /** Indices of the roots that the container holds. */
  get roots(): number[] {
    return this.#roots.flatMap((root) => this.indexOf(root) ?? []);
  }

  /** The index of an application resource, override applied. */
  indexOf(definition: AnyDefinition, asker?: AnyDefinition): number | undefined {
    return this.#index.get(this.resolve(definition, asker).definition);
  }

  /** The index of what `resolve` gave: no override is applied once more. */
  indexOfResolved(definition: AnyDefinition): number | undefined {
    return this.#index.get(definition);
  }

  /** A definition as the asker sees it: {@link Replacements.resolve}. */
  resolve(definition: AnyDefinition, asker: AnyDefinition | undefined): Resolution {
    return this.#replacements.resolve(definition, asker);
  }

  /** Checks what a scope asks for and was not among the roots; the application resources it needs have to be here already. */
  admit(needs: readonly Need[]): void {
    const known = this.nodes.length;
    this.#asked = new Set();
    try {
      for (const need of needs) this.#admitEdge(edgeOf(need));
      if (this.#allowed !== undefined) refuseOutside("scope", this.#asked, this.#replacements.all, this.#allowed);
    } catch (error) {
      this.#forgetFrom(known);
      throw error;
    }
    if (this.nodes.length > known) throw notHeld(this.#forgetFrom(known));
  }

  /** Takes back what was added in vain. */
  #forgetFrom(known: number): GraphNode[] {
    const added = this.nodes.splice(known);
    for (const { definition, index, name } of added) {
      if (this.#index.get(definition) === index) this.#index.delete(definition); // a node for one edge alone is not there
      this.byName.delete(name);
      this.usedByScopes.delete(index);
    }
    this.#asked = new Set(); // some were added only because of what is not here
    this.#path.length = 0;
    return added;
  }

  /** An edge of an instance outside the graph. What it needs is in the graph, but for what it alone is given or is to have. */
  edgeOfDetached(
    asker: AnyDefinition,
    key: string,
    edge: EdgeSpec,
    given: Binding | undefined,
  ): Edge | { readonly own: AnyDefinition } | { readonly value: unknown } {
    if (given !== undefined && edge.kind === "plain" && edge.target === given.input) return given;
    if (edge.kind === "fresh" || (edge.kind !== "when" && edge.target.lifetime === "transient"))
      return { own: this.resolve(edge.target, asker).definition };
    return this.#edge(asker, specOf(asker), key, edge);
  }

  /** Replaces a definition for scopes that open from now on; gives what takes it back, in any order. */
  overrideScoped(definition: AnyDefinition, override: Override): () => void {
    if (isHeldByContainer(definition) && this.indexOf(definition) === undefined) throw replacesNothing(definition);
    const restore = this.#replacements.add(definition, override);
    this.#scoped = new Set();
    return () => {
      restore();
      this.#scoped = new Set();
    };
  }

  #include(asked: AnyDefinition, asker: AnyDefinition | undefined): void {
    const { definition, constant } = this.resolve(asked, asker);
    this.#refuseCycle(definition);
    const isHeld = isHeldByContainer(definition);
    if (isHeld ? this.#index.has(definition) : this.#scoped.has(definition) || this.#asked.has(definition)) return; // of what is held, `#scoped` has instances of scopes' own
    this.#path.push(definition);
    if (isHeld) this.#addNode(definition, constant);
    else this.#addScoped(definition, constant !== undefined);
    this.#path.pop();
  }

  #addNode(definition: AnyDefinition, constant: { readonly value: unknown } | undefined): void {
    const spec = specOf(definition);
    const given = constant ?? this.#inputValue(definition, spec);
    const edges = given === undefined && spec.enabled !== false ? this.#edges(definition, spec) : [];
    this.#index.set(definition, this.#push(definition, spec, given, edges));
  }

  #push(
    definition: AnyDefinition,
    spec: Spec,
    constant: { readonly value: unknown } | undefined,
    edges: readonly Edge[],
    ownName?: string,
  ): number {
    const index = this.nodes.length;
    const replaces = (taken: number): boolean => areInPlace(this.#overrides, definition, this.nodes[taken]?.definition);
    const name =
      ownName === undefined
        ? uniqueName(this.byName, definition.name, index, replaces)
        : numberedName(this.byName, ownName, index);
    this.nodes.push({ index, name, definition, spec, constant, edges });
    return index;
  }

  #inputValue(definition: AnyDefinition, spec: Spec): { readonly value: unknown } | undefined {
    if (spec.kind !== "input") return undefined;
    if (this.#inputs === undefined || this.#inputs.has(definition)) return { value: this.#inputs?.get(definition) };
    throw inputMissing(spec.name, this.#path);
  }

  #edges(definition: AnyDefinition, spec: Spec): Edge[] {
    return Object.entries(spec.needs).map(([key, need]) => this.#edge(definition, spec, key, edgeOf(need)));
  }

  #edge(asker: AnyDefinition, spec: Spec, key: string, edge: EdgeSpec): Edge {
    if (edge.kind === "when") {
      const condition = this.#target(asker, spec, edge.condition);
      this.#refuseAbsent(`"${spec.name}"`, condition);
      return {
        kind: "when",
        key,
        condition,
        test: edge.test,
        whenTrue: this.#edge(asker, spec, key, edge.whenTrue),
        whenFalse: this.#edge(asker, spec, key, edge.whenFalse),
        optional: edge.optional,
      };
    }
    if (edge.kind === "cached") throw captive(spec, key);
    const own = edge.kind === "fresh" ? "fresh" : edge.target.lifetime === "transient" ? "transient" : undefined;
    const to =
      own === undefined ? this.#target(asker, spec, edge.target, key) : this.#ownTarget(asker, spec, edge.target);
    if (edge.kind !== "current") this.#refuseAbsent(`"${spec.name}"`, to);
    return { kind: edge.kind === "fresh" ? "plain" : edge.kind, instance: own, key, to, optional: edge.optional };
  }

  #target(asker: AnyDefinition, spec: Spec, target: AnyDefinition, key = target.name): number {
    const { definition } = this.resolve(target, asker);
    if (!isHeldByContainer(definition)) throw captive(spec, key);
    if (rank(definition) < rank(asker)) throw captive(spec, key);
    this.#include(target, asker);
    const index = this.#index.get(definition);
    if (index === undefined)
      throw containerError("GRAPH_CYCLE", `"${spec.name}" and "${target.name}" need one another`); // cannot be: including it adds it or throws
    return index;
  }

  /** A node for one edge alone: of a transient, or of `fresh(...)`. */
  #ownTarget(asker: AnyDefinition, askerSpec: Spec, target: AnyDefinition): number {
    const { definition, constant } = this.resolve(target, asker);
    this.#refuseCycle(definition);
    this.#path.push(definition);
    const spec = specOf(definition);
    const edges = constant === undefined ? this.#edges(definition, spec) : [];
    const index = this.#push(definition, spec, constant, edges, `${definition.name}@${askerSpec.name}`);
    this.#path.pop();
    return index;
  }

  /** @param given An input that each instance of it is given for itself. */
  #addScoped(definition: AnyDefinition, constant: boolean, given?: AnyDefinition): void {
    (this.#isComplete ? this.#asked : this.#scoped).add(definition);
    if (constant) return;
    for (const [key, need] of Object.entries(specOf(definition).needs)) {
      const edge = edgeOf(need);
      if (edge.kind === "plain" && edge.target === given) continue;
      const demand = this.#scopedEdge(definition, key, edge);
      if (demand !== undefined) this.#demand(demand);
    }
  }

  #demand(edge: Edge): void {
    if (!this.#isComplete) this.scopeEdges.push(edge);
  }

  /** Adds what a scoped definition needs; gives the part of it that the container has to have started. */
  #scopedEdge(asker: AnyDefinition, key: string, edge: EdgeSpec): Edge | undefined {
    if (edge.kind === "when") {
      const condition = this.#scopedTarget(asker, key, { kind: "plain", target: edge.condition, optional: false });
      const [whenTrue, whenFalse] = [
        this.#scopedEdge(asker, key, edge.whenTrue),
        this.#scopedEdge(asker, key, edge.whenFalse),
      ];
      if (condition === undefined || whenTrue === undefined || whenFalse === undefined)
        for (const demand of [whenTrue, whenFalse]) if (demand !== undefined) this.#demand(demand);
      return condition === undefined
        ? undefined
        : whenTrue === undefined || whenFalse === undefined
          ? { kind: "plain", key, to: condition, optional: false }
          : { kind: "when", key, condition, test: edge.test, whenTrue, whenFalse, optional: edge.optional };
    }
    const to = this.#scopedTarget(asker, key, edge);
    if (edge.kind !== "current") this.#refuseAbsent(`"${asker.name}"`, to);
    return to === undefined
      ? undefined
      : {
          kind: edge.kind === "lazy" || edge.kind === "current" ? edge.kind : "plain",
          key,
          to,
          optional: edge.optional,
        };
  }

  #scopedTarget(asker: AnyDefinition, key: string, edge: Exclude<EdgeSpec, { kind: "when" }>): number | undefined {
    const { definition } = this.resolve(edge.target, asker);
    if (asker.lifetime !== "transient" && definition.lifetime !== "transient" && rank(definition) < rank(asker))
      throw captive(specOf(asker), key);
    if (this.#addOwn(asker, edge)) return undefined;
    this.#include(edge.target, asker);
    const index = this.#index.get(definition);
    if (index !== undefined) this.usedByScopes.add(index);
    return index;
  }

  /** Adds what a scope has instances of its own of, although the container holds such things. */
  #addOwn(asker: AnyDefinition | undefined, edge: Exclude<EdgeSpec, { kind: "when" }>): boolean {
    if (edge.kind !== "fresh" && edge.kind !== "cached") return false;
    const { definition, constant } = this.resolve(edge.target, asker);
    if (!isHeldByContainer(definition)) return false;
    if (edge.kind === "fresh" && constant === undefined && mayBeDown(specOf(definition)))
      throw absent(asker === undefined ? "the scope" : `"${asker.name}"`, definition.name);
    this.#addScoped(definition, constant !== undefined, edge.kind === "cached" ? edge.keyed?.input : undefined);
    return true;
  }

  #admitEdge(edge: EdgeSpec): void {
    if (edge.kind === "when") {
      this.#admitEdge({ kind: "plain", target: edge.condition, optional: false });
      this.#admitEdge(edge.whenTrue);
      this.#admitEdge(edge.whenFalse);
    } else if (!this.#addOwn(undefined, edge)) {
      this.#include(edge.target, undefined);
      const index = this.indexOf(edge.target);
      if (index !== undefined) this.usedByScopes.add(index);
      if (edge.kind !== "current") this.#refuseAbsent("the scope", index);
    }
  }

  /** A plain resource that may be down has no object while it is, so it cannot be held. A managed one always has its client. */
  #refuseAbsent(asker: string, to: number | undefined): void {
    const node = to === undefined ? undefined : this.nodes[to];
    if (node === undefined || node.constant !== undefined || !mayBeDown(node.spec)) return;
    throw absent(asker, node.definition.name);
  }

  #refuseCycle(definition: AnyDefinition): void {
    const from = this.#path.indexOf(definition);
    if (from >= 0) throw cycle([...this.#path.slice(from), definition]);
  }
}

function checkOptions(nodes: readonly GraphNode[]): void {
  const problems = nodes.flatMap((node) =>
    node.constant === undefined && node.spec.enabled !== false ? (node.spec.managed?.problems ?? []) : [],
  );
  if (problems.length > 0) throw new OptionsError(problems);
}

function rank(definition: AnyDefinition): number {
  return definition.lifetime === "transient" ? RANK.process : RANK[definition.lifetime];
}

function definitionOf(node: GraphNode): AnyDefinition {
  return node.definition;
}
