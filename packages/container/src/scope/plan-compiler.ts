import { needOf, edgeOf, specOf, type EdgeSpec, type Needs, type Spec } from "@steward/core/container";
import { containerError } from "../errors.ts";
import { interpreter } from "./plan-runner.ts";
import { isHeldByContainer, type AnyDefinition, type Graph } from "../graph/graph.ts";
import { cachedValue } from "../edges/cached.ts";
import { compileWhenHot } from "./plan-code.ts";
import type { Plan, PlanKind, Source, Step, StepHost } from "./plan.ts";
import { holderOf, type ContainerState, type Generation } from "../lifecycle/state.ts";

/** Compiles what is asked for. Throws what is wrong with it, before anything has started. */
export function compilePlan(state: ContainerState, generation: Generation, needs: Needs, kind: PlanKind): Plan {
  const dynamic = kind !== "first" || isDynamic(state.graph, needs);
  const compiler = new Compiler(state, generation, dynamic, kind === "session");
  const keys = Object.keys(needs);
  const sources = Object.entries(needs).map(([key, need]) => compiler.source("handler", undefined, key, edgeOf(need)));
  const { steps, inputs, slots, size, ofSession } = compiler;
  const plan: Plan = {
    keys,
    needs: Object.values(needs),
    steps,
    size,
    inputs,
    ofSession,
    slots,
    ...interpreter(steps, keys, sources),
  };
  return compileWhenHot(plan, sources);
}

class Compiler {
  readonly steps: Step[] = [];
  readonly inputs: { definition: AnyDefinition; slot: number }[] = [];
  readonly slots = new Map<AnyDefinition, number>();
  size = 0;
  ofSession: AnyDefinition | undefined;
  readonly #state: ContainerState;
  readonly #generation: Generation;
  readonly #dynamic: boolean;
  readonly #inSession: boolean;

  constructor(state: ContainerState, generation: Generation, dynamic: boolean, inSession: boolean) {
    this.#state = state;
    this.#generation = generation;
    this.#dynamic = dynamic;
    this.#inSession = inSession;
  }

  source(asker: "handler" | "request", owner: AnyDefinition | undefined, key: string, edge: EdgeSpec): Source {
    if (edge.kind === "when") return this.#choice(asker, owner, key, edge);
    const { definition, constant } = this.#state.graph.resolve(edge.target, owner);
    if (constant !== undefined) return { kind: "constant", value: constantOf(edge, constant.value) };
    if (edge.kind === "cached")
      return this.#own(`cached ${definition.name}`, false, (host) => cachedValue(definition, edge, host));
    if (edge.kind === "fresh" && isHeldByContainer(definition))
      return this.#own(definition.name, false, (host) => host.instantiate(definition, owner));
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
    const resolver = (branch: EdgeSpec): ((host: StepHost) => unknown) => {
      const needs: Needs = { value: needOf(branch) };
      return async (host) => (await host.resolve(needs))["value"];
    };
    const [then, otherwise] = [resolver(edge.whenTrue), resolver(edge.whenFalse)];
    return this.#own(key, false, (host, needs) => (edge.test(needs["condition"]) ? then(host) : otherwise(host)), {
      condition,
    });
  }

  #application(
    definition: AnyDefinition,
    owner: AnyDefinition | undefined,
    edge: EdgeSpec & { optional: boolean },
  ): Source {
    const state = this.#state;
    const { graph } = state;
    const index = graph.indexOfResolved(definition);
    if (index === undefined) throw notHeld(definition);
    const live = this.#generation.live[index];
    const disabled = live?.disabled === true || graph.nodes[index]?.spec.enabled === false;
    if (disabled) return this.#disabled(definition, owner, edge.optional);
    if (edge.kind === "lazy") return { kind: "made", make: (host) => () => host.lazily(index) };
    if (edge.kind === "current") return { kind: "constant", value: holderOf(graph, (i) => state.live(i), index) };
    if (live === undefined)
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
    if (definition.lifetime === "session") this.ofSession ??= definition;
    if (edge.kind === "lazy") return { kind: "made", make: (host) => () => host.get(definition) };
    if (edge.kind === "current") {
      const inner = this.#scoped(asker, definition, { kind: "plain", target: definition, optional: edge.optional });
      return this.#own(definition.name, false, (_scope, needs) => ({ current: needs["value"] }), { value: inner });
    }
    if (definition.lifetime === "session" && !this.#inSession)
      return this.#own(definition.name, false, (host) => host.fromSession(definition));
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
    const call = callOf(definition, spec, handler);
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

  /** A step that no other need shares. */
  #own(
    name: string,
    handler: boolean,
    call: (host: StepHost, needs: Readonly<Record<string, unknown>>) => unknown,
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
    this.steps.push({ ...step, call: (values, host) => call(host, values) });
    return { kind: "slot", index: slot };
  }

  #slot(definition: AnyDefinition | undefined): number {
    if (definition !== undefined) this.slots.set(definition, this.size);
    return this.size++;
  }
}

function callOf(definition: AnyDefinition, spec: Spec, handler: boolean): Step["call"] {
  const { start, enabled } = spec;
  const plain: Step["call"] = spec.generator
    ? (needs, host) => host.enter(definition, start?.(needs, host), handler)
    : (needs, host) => start?.(needs, host);
  if (enabled === undefined) return spec.generator || start === undefined ? plain : start;
  return (needs, host) => ((typeof enabled === "function" ? enabled(needs) : enabled) ? plain(needs, host) : undefined);
}

/** What an edge hands over where an override has put a value in the place of what it points to. */
function constantOf(edge: Exclude<EdgeSpec, { kind: "when" }>, value: unknown): unknown {
  if (edge.kind === "current") return { current: value };
  return edge.kind === "lazy" || (edge.kind === "cached" && edge.keyed !== undefined)
    ? () => Promise.resolve(value)
    : value;
}

function notHeld(definition: AnyDefinition): Error {
  return containerError(
    "NOT_IN_GRAPH",
    `this container does not hold "${definition.name}": add it to the roots of container([...])`,
    { resource: definition.name },
  );
}

/** Whether resolving these needs may ask the scope for something before its own step has run. */
function isDynamic(graph: Graph, needs: Needs): boolean {
  const seen = new Set<AnyDefinition>();
  const mayAsk = (edge: EdgeSpec, owner: AnyDefinition | undefined): boolean => {
    if (edge.kind === "when") return true;
    const { definition, constant } = graph.resolve(edge.target, owner);
    if (constant !== undefined || isHeldByContainer(definition)) return false;
    if (edge.kind === "lazy") return true;
    if (seen.has(definition)) return false;
    seen.add(definition);
    return Object.values(specOf(definition).needs).some((need) => mayAsk(edgeOf(need), definition));
  };
  return Object.values(needs).some((need) => mayAsk(edgeOf(need), undefined));
}
