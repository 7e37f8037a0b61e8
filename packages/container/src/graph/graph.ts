import type { Binding } from "@steward/core";
import {
  edgeOf,
  originOf,
  specOf,
  type AnyDefinition,
  type EdgeSpec,
  type Need,
  type Spec,
} from "@steward/core/container";
import { OptionsError } from "@steward/core/driver";
import { containerError } from "../errors.ts";
import {
  isHeldByContainer,
  mayBeDown,
  targetsOfNeed,
  type Edge,
  type GraphNode,
  type Override,
  type Overrides,
} from "./node.ts";
import { absent, captive, cycle, inputMissing, notHeld, replacesNothing } from "./errors.ts";
import { areInPlace, numberedName, uniqueName } from "./names.ts";

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
  /** Overrides for scopes, the last of a definition in force. */
  readonly #scopedOverrides = new Map<AnyDefinition, readonly { readonly override: Override }[]>();
  /** Values of inputs; `undefined` where the graph is only to be shown. */
  readonly #inputs: ReadonlyMap<AnyDefinition, unknown> | undefined;
  readonly #index = new Map<AnyDefinition, number>();
  /** Definitions of shorter lifetimes that the roots need. */
  #scoped = new Set<AnyDefinition>();
  /** Those that a scope asks for: visited for it alone, because some are made for one scope. */
  #asked = new Set<AnyDefinition>();
  readonly #path: AnyDefinition[] = [];
  /** True once the roots were visited: what scopes ask for later changes nothing of what has to be started first. */
  #isComplete = false;

  constructor(roots: readonly AnyDefinition[], overrides: Overrides, inputs: readonly Binding[] | undefined) {
    this.#roots = roots;
    this.#overrides = overrides;
    this.#inputs = inputs === undefined ? undefined : new Map(inputs.map((binding) => [binding.input, binding.value]));
    for (const root of roots) this.#visit(root, undefined);
    this.#isComplete = true;
    this.#checkOptions();
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
    const override = this.#overrideOf(definition, asker);
    return this.#index.get(override?.kind === "definition" ? override.definition : definition);
  }

  /** The index of what `resolve` gave: no override is applied once more. */
  indexOfResolved(definition: AnyDefinition): number | undefined {
    return this.#index.get(definition);
  }

  /** A definition as the asker sees it: the override's, or itself. Whoever replaces a definition may wrap it: it sees the original. */
  resolve(
    definition: AnyDefinition,
    asker: AnyDefinition | undefined,
  ): { readonly definition: AnyDefinition; readonly constant: { readonly value: unknown } | undefined } {
    const override = this.#overrideOf(definition, asker);
    if (override === undefined) return { definition, constant: undefined };
    return override.kind === "value"
      ? { definition, constant: override }
      : { definition: override.definition, constant: undefined };
  }

  /** Checks what a scope asks for and was not among the roots; the application resources it needs have to be here already. */
  admit(needs: readonly Need[]): void {
    const known = this.nodes.length;
    const targets = needs.flatMap(targetsOfNeed);
    this.#asked = new Set();
    try {
      for (const target of targets) this.#visit(target, undefined);
    } catch (error) {
      this.#forgetFrom(known);
      throw error;
    }
    for (const target of targets) if (isHeldByContainer(target)) this.usedByScopes.add(this.indexOf(target) ?? -1);
    if (this.nodes.length === known) return this.#refuseAbsentIn(needs);
    const added = this.#forgetFrom(known);
    throw notHeld(added);
  }

  /** Takes back what a visit has added that was in vain. */
  #forgetFrom(known: number): GraphNode[] {
    const added = this.nodes.splice(known);
    for (const { definition, index, name } of added) {
      if (this.#index.get(definition) === index) this.#index.delete(definition); // a node for one edge alone is not there
      this.byName.delete(name);
      this.usedByScopes.delete(index);
    }
    this.#asked = new Set(); // some were visited only because of what is not here
    this.#path.length = 0;
    return added;
  }

  /** A scope, too, has no object of what is down. */
  #refuseAbsentIn(needs: readonly Need[]): void {
    for (const need of needs) {
      const edge = edgeOf(need);
      if (edge.kind === "plain" || edge.kind === "lazy" || edge.kind === "fresh")
        this.#refuseAbsent("the scope", this.indexOf(edge.target));
      if (edge.kind === "when") this.#refuseAbsent("the scope", this.indexOf(edge.condition));
    }
  }

  /** An edge of an instance outside the graph. What it needs is in the graph, but for what it alone is to have. */
  edgeOfDetached(asker: AnyDefinition, key: string, edge: EdgeSpec): Edge | { readonly own: AnyDefinition } {
    if (edge.kind === "fresh" || (edge.kind !== "when" && edge.target.lifetime === "transient"))
      return { own: this.resolve(edge.target, asker).definition };
    return this.#edge(asker, specOf(asker), key, edge);
  }

  /** Replaces a definition for scopes that open from now on; gives what takes it back, in any order. */
  overrideScoped(definition: AnyDefinition, override: Override): () => void {
    if (isHeldByContainer(definition) && this.indexOf(definition) === undefined) throw replacesNothing(definition);
    const own = { override };
    this.#scopedOverrides.set(definition, [...(this.#scopedOverrides.get(definition) ?? []), own]);
    this.#scoped = new Set();
    return () => {
      const left = (this.#scopedOverrides.get(definition) ?? []).filter((one) => one !== own);
      if (left.length === 0) this.#scopedOverrides.delete(definition);
      else this.#scopedOverrides.set(definition, left);
      this.#scoped = new Set();
    };
  }

  #overrideOf(definition: AnyDefinition, asker: AnyDefinition | undefined): Override | undefined {
    const origin = originOf(definition);
    const override = this.#scopedOverrides.get(origin)?.at(-1)?.override ?? this.#overrides.get(origin);
    if (override === undefined || override.kind === "value") return override;
    if (asker !== undefined && override.definition === originOf(asker)) return undefined;
    const variant = specOf(definition).variant;
    return variant === undefined ? override : { kind: "definition", definition: variant.remake(override.definition) };
  }

  #visit(asked: AnyDefinition, asker: AnyDefinition | undefined): void {
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
    this.#visit(target, asker);
    const index = this.#index.get(definition);
    if (index === undefined)
      throw containerError("GRAPH_CYCLE", `"${spec.name}" and "${target.name}" need one another`); // cannot be: a visit adds it or throws
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

  #addScoped(definition: AnyDefinition, constant: boolean): void {
    (this.#isComplete ? this.#asked : this.#scoped).add(definition);
    if (constant) return;
    for (const [key, need] of Object.entries(specOf(definition).needs)) {
      const demand = this.#scopedEdge(definition, key, edgeOf(need));
      if (demand !== undefined) this.#demand(demand);
    }
  }

  #demand(edge: Edge): void {
    if (!this.#isComplete) this.scopeEdges.push(edge);
  }

  /** Visits what a scoped definition needs; gives the part of it that the container has to have started. */
  #scopedEdge(asker: AnyDefinition, key: string, edge: EdgeSpec): Edge | undefined {
    if (edge.kind === "when") {
      const condition = this.#scopedTarget(asker, key, edge.condition);
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
    const to = this.#scopedTarget(asker, key, edge.target, edge.kind === "fresh" || edge.kind === "cached");
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

  #scopedTarget(asker: AnyDefinition, key: string, target: AnyDefinition, own = false): number | undefined {
    const { definition } = this.resolve(target, asker);
    if (asker.lifetime !== "transient" && definition.lifetime !== "transient" && rank(definition) < rank(asker))
      throw captive(specOf(asker), key);
    if (own && isHeldByContainer(definition)) this.#addScoped(definition, false);
    else this.#visit(target, asker);
    const index = own ? undefined : this.#index.get(definition);
    if (index !== undefined) this.usedByScopes.add(index);
    return index;
  }

  /** A plain resource that may be down has no object while it is, so nobody may hold it. A managed one always has its client. */
  #refuseAbsent(asker: string, to: number | undefined): void {
    const node = to === undefined ? undefined : this.nodes[to];
    if (node === undefined || node.constant !== undefined || !mayBeDown(node.spec)) return;
    throw absent(asker, node.definition.name);
  }

  #refuseCycle(definition: AnyDefinition): void {
    const from = this.#path.indexOf(definition);
    if (from >= 0) throw cycle([...this.#path.slice(from), definition]);
  }

  #checkOptions(): void {
    const problems = this.nodes.flatMap((node) =>
      node.constant === undefined && node.spec.enabled !== false ? (node.spec.managed?.problems ?? []) : [],
    );
    if (problems.length > 0) throw new OptionsError(problems);
  }
}

function rank(definition: AnyDefinition): number {
  return definition.lifetime === "transient" ? RANK.process : RANK[definition.lifetime];
}
