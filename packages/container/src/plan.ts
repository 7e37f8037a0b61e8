import { edge as needOf, edgeOf, specOf, type EdgeSpec, type Needs, type Spec } from "@steward/core";
import { holderOf, type Assembly } from "./assembly.ts";
import { interpreter, tierUp } from "./execute.ts";
import { containerError } from "./errors.ts";
import { isHeldByContainer, type AnyDefinition } from "./graph.ts";
import type { ScopeState } from "./scope.ts";

/** Where a value comes from when a step needs it. */
export type Source =
  | { readonly kind: "slot"; readonly index: number }
  | { readonly kind: "application"; readonly index: number }
  | { readonly kind: "constant"; readonly value: unknown }
  | { readonly kind: "made"; readonly make: (scope: ScopeState) => unknown }
  | { readonly kind: "choice"; readonly condition: Source; readonly whenTrue: Source; readonly whenFalse: Source };

/** One value that a scope makes. */
export interface Step {
  readonly slot: number;
  readonly name: string;
  readonly definition: AnyDefinition | undefined;
  readonly keys: readonly string[];
  readonly sources: readonly Source[];
  /** Gives the value, or a promise of it. */
  readonly call: (needs: Readonly<Record<string, unknown>>, scope: ScopeState) => unknown;
  /** Releases the value when the scope ends. */
  readonly stop: Spec["stop"];
  /** True when its cleanup runs once the handler has settled, false when it runs at the scope's end. */
  readonly handler: boolean;
  /** True for a step that looks in the scope's memory first, because something may have made its value earlier. */
  readonly remembered: boolean;
}

/** How one set of needs is resolved in a scope: compiled once, run for every scope. */
export interface Plan {
  readonly keys: readonly string[];
  readonly needs: readonly unknown[];
  readonly steps: readonly Step[];
  readonly size: number;
  readonly inputs: readonly { readonly definition: AnyDefinition; readonly slot: number }[];
  /** Slots by definition, for whoever asks the scope later. */
  readonly slots: ReadonlyMap<AnyDefinition, number>;
  /** Runs the steps from one on; gives a promise when it had to wait. */
  run: (scope: ScopeState, slots: unknown[], values: readonly unknown[], from: number) => Promise<void> | undefined;
  /** Builds the values that were asked for. */
  result: (slots: readonly unknown[], values: readonly unknown[], scope: ScopeState) => Record<string, unknown>;
}

/** What a plan is for: a scope's first resolution, a later one that looks in the scope's memory, or that of a session itself. */
export type PlanKind = "first" | "later" | "session";

/** Compiles what is asked for. Throws what is wrong with it, before anything has started. */
export function compilePlan(assembly: Assembly, needs: Needs, kind: PlanKind): Plan {
  const compiler = new Compiler(assembly, kind !== "first" || isDynamic(assembly, needs), kind === "session");
  const keys = Object.keys(needs);
  const sources = Object.entries(needs).map(([key, need]) => compiler.source("handler", undefined, key, edgeOf(need)));
  const { steps, inputs, slots, size } = compiler;
  const plan: Plan = {
    keys,
    needs: Object.values(needs),
    steps,
    size,
    inputs,
    slots,
    ...interpreter(steps, keys, sources),
  };
  return tierUp(plan, sources);
}

class Compiler {
  readonly steps: Step[] = [];
  readonly inputs: { definition: AnyDefinition; slot: number }[] = [];
  readonly slots = new Map<AnyDefinition, number>();
  size = 0;
  readonly #assembly: Assembly;
  readonly #dynamic: boolean;
  readonly #inSession: boolean;

  constructor(assembly: Assembly, dynamic: boolean, inSession: boolean) {
    this.#assembly = assembly;
    this.#dynamic = dynamic;
    this.#inSession = inSession;
  }

  source(asker: "handler" | "request", owner: AnyDefinition | undefined, key: string, edge: EdgeSpec): Source {
    if (edge.kind === "when") return this.#choice(asker, owner, key, edge);
    const { definition, constant } = this.#assembly.graph.resolve(edge.target, owner);
    if (constant !== undefined)
      return {
        kind: "constant",
        value:
          edge.kind === "current"
            ? { current: constant.value }
            : edge.kind === "lazy"
              ? () => Promise.resolve(constant.value)
              : constant.value,
      };
    if (edge.kind === "cached")
      return this.#own(`cached ${definition.name}`, false, (scope) => scope.cached(definition, edge.ttlMs));
    if (edge.kind === "fresh" && isHeldByContainer(definition))
      return this.#own(definition.name, false, (scope) => scope.instantiate(definition));
    if (isHeldByContainer(definition)) return this.#application(definition, owner, edge);
    return this.#scoped(asker, definition, edge);
  }

  #choice(
    asker: "handler" | "request",
    owner: AnyDefinition | undefined,
    key: string,
    edge: Extract<EdgeSpec, { kind: "when" }>,
  ): Source {
    const condition = this.source(asker, owner, key, { kind: "plain", target: edge.condition, optional: false });
    const resolver = (branch: EdgeSpec): ((scope: ScopeState) => unknown) => {
      const needs: Needs = { value: needOf(branch) };
      return async (scope) => (await scope.resolve(needs))["value"];
    };
    const [then, otherwise] = [resolver(edge.whenTrue), resolver(edge.whenFalse)];
    return this.#own(key, false, (scope, needs) => (edge.test(needs["condition"]) ? then(scope) : otherwise(scope)), {
      condition,
    });
  }

  #application(
    definition: AnyDefinition,
    owner: AnyDefinition | undefined,
    edge: EdgeSpec & { optional: boolean },
  ): Source {
    const { graph, current } = this.#assembly;
    const index = graph.indexOf(definition, owner) ?? graph.indexOf(definition);
    if (index === undefined) throw notHeld(definition);
    const disabled = current.live[index]?.disabled === true || graph.nodes[index]?.spec.enabled === false;
    if (disabled) return this.#disabled(definition, owner, edge.optional);
    if (edge.kind === "lazy") return { kind: "constant", value: () => this.#assembly.startLazily(index) };
    if (edge.kind === "current") return { kind: "constant", value: holderOf(this.#assembly, index) };
    if (current.live[index] === undefined)
      throw containerError(
        "NOT_IN_GRAPH",
        `"${definition.name}" has not been started: it is needed only lazily; need it as lazy(${definition.name}) here too`,
        { resource: definition.name },
      );
    return { kind: "application", index };
  }

  #disabled(definition: AnyDefinition, owner: AnyDefinition | undefined, optional: boolean): Source {
    if (optional) return { kind: "constant", value: undefined };
    const asker = owner === undefined ? "the scope" : `"${owner.name}"`;
    throw containerError(
      "GRAPH_DISABLED",
      `${asker} needs "${definition.name}", which configuration disabled: need it as optional(${definition.name})`,
      { resource: definition.name },
    );
  }

  #scoped(asker: "handler" | "request", definition: AnyDefinition, edge: EdgeSpec): Source {
    if (edge.kind === "lazy") return { kind: "made", make: (scope) => () => scope.get(definition) };
    if (edge.kind === "current") {
      const inner = this.#scoped(asker, definition, { kind: "plain", target: definition, optional: edge.optional });
      return this.#own(definition.name, false, (_scope, needs) => ({ current: needs["value"] }), { value: inner });
    }
    if (definition.lifetime === "session" && !this.#inSession)
      return this.#own(definition.name, false, (scope) => scope.fromSession(definition));
    const own = edge.kind === "fresh" || definition.lifetime === "transient";
    const known = own ? undefined : this.slots.get(definition);
    if (known !== undefined) return { kind: "slot", index: known };
    return specOf(definition).kind === "input" ? this.#input(definition) : this.#step(asker, definition, own);
  }

  #input(definition: AnyDefinition): Source {
    const slot = this.#slot(definition);
    this.inputs.push({ definition, slot });
    return { kind: "slot", index: slot };
  }

  #step(asker: "handler" | "request", definition: AnyDefinition, own: boolean): Source {
    const spec = specOf(definition);
    const handler = own ? asker === "handler" : definition.lifetime === "handler";
    const entries = Object.entries(spec.needs).map(
      ([key, need]) => [key, this.source(handler ? "handler" : "request", definition, key, edgeOf(need))] as const,
    );
    const slot = this.#slot(own ? undefined : definition);
    const call = callOf(spec, handler);
    this.steps.push({
      slot,
      name: spec.name,
      definition,
      keys: entries.map(([k]) => k),
      sources: entries.map(([, s]) => s),
      call,
      stop: spec.stop,
      handler,
      remembered: this.#dynamic && !own,
    });
    return { kind: "slot", index: slot };
  }

  /** A step that is nobody else's. */
  #own(
    name: string,
    handler: boolean,
    call: (scope: ScopeState, needs: Readonly<Record<string, unknown>>) => unknown,
    needs: Readonly<Record<string, Source>> = {},
  ): Source {
    const slot = this.#slot(undefined);
    const step = {
      slot,
      name,
      definition: undefined,
      keys: Object.keys(needs),
      sources: Object.values(needs),
      stop: undefined,
      handler,
      remembered: false,
    };
    this.steps.push({ ...step, call: (values, scope) => call(scope, values) });
    return { kind: "slot", index: slot };
  }

  #slot(definition: AnyDefinition | undefined): number {
    if (definition !== undefined) this.slots.set(definition, this.size);
    return this.size++;
  }
}

function callOf(spec: Spec, handler: boolean): Step["call"] {
  const { start, enabled } = spec;
  const plain: Step["call"] = spec.generator
    ? (needs, scope) => scope.enter(spec.name, start?.(needs, scope), handler)
    : (needs, scope) => start?.(needs, scope);
  if (enabled === undefined) return spec.generator || start === undefined ? plain : start;
  return (needs, scope) =>
    (typeof enabled === "function" ? enabled(needs) : enabled) ? plain(needs, scope) : undefined;
}

function notHeld(definition: AnyDefinition): Error {
  return containerError(
    "NOT_IN_GRAPH",
    `this container does not hold "${definition.name}": add it to the roots of container([...])`,
    { resource: definition.name },
  );
}

/** Whether resolving these needs may ask the scope for something before its own step has run. */
function isDynamic(assembly: Assembly, needs: Needs): boolean {
  const seen = new Set<AnyDefinition>();
  const visit = (edge: EdgeSpec, owner: AnyDefinition | undefined): boolean => {
    if (edge.kind === "when") return true;
    const { definition, constant } = assembly.graph.resolve(edge.target, owner);
    if (constant !== undefined || isHeldByContainer(definition)) return false;
    if (edge.kind === "lazy") return true;
    if (seen.has(definition)) return false;
    seen.add(definition);
    return Object.values(specOf(definition).needs).some((need) => visit(edgeOf(need), definition));
  };
  return Object.values(needs).some((need) => visit(edgeOf(need), undefined));
}
