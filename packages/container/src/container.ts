import {
  type BackgroundEvent,
  type Binding,
  type Clock,
  type Definition,
  type InputDefinition,
  systemClock,
} from "@steward/core";
import {
  assertShape,
  checkShape,
  defaultsShape,
  func,
  type HeldLifetime,
  isDefinition,
  literalOr,
  milliseconds,
  type ResourceDefaults,
  shape,
  type Shape,
  signal,
  text,
} from "@steward/core/container";
import { Engine } from "./lifecycle/engine.ts";
import { viewOf, type GraphView } from "./graph/view.ts";
import { Graph, type AnyDefinition, type Edge, type Override, type Overrides } from "./graph/graph.ts";
import { monitorShape, type MonitorOptions } from "./health/monitor.ts";
import { assertDefinition, clockRule, inputsRule, rootsRule } from "./options.ts";
import { refuseUnused, type ReplacementFor, type ReplacementReach } from "./graph/override.ts";
import { allUp, announceUp, onUp } from "./main/up.ts";
import { RunningContainer } from "./running.ts";
import type { Allowed } from "./graph/strict.ts";
import type { AllInputs, SomeDefinition } from "./scope/scope-types.ts";
import { sessionShape, type SessionOptions } from "./session/sessions.ts";
import type { Limits } from "./stop/stop-budget.ts";

/** Settings of a container. */
export interface ContainerOptions {
  /** Version of the app, for the documents of health. Default none. */
  readonly version?: string;
  /** Name in events. Default `container`. */
  readonly name?: string;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock;
  /** Longest start in all, in ms. Default 60,000. */
  readonly startTimeoutMs?: number;
  /** Longest drain in all, in ms. Default 15,000. */
  readonly drainTimeoutMs?: number;
  /** Longest stop in all, after the drain, in ms. Default 10,000. */
  readonly stopTimeoutMs?: number;
  /** Bounds of user sessions. */
  readonly sessions?: SessionOptions;
  /** How the health of resources is watched; `false` for not at all. Default: probes every 10 s where real calls do not show enough. */
  readonly health?: MonitorOptions | false;
  /** What every resource does where it does not say otherwise: deadline, retry, breaker, probes, series. */
  readonly defaults?: ResourceDefaults;
}

/** What the options of a container must be. */
const containerShape: Shape<ContainerOptions> = /* @__PURE__ */ shape<ContainerOptions>(() => ({
  name: text(),
  clock: clockRule(),
  startTimeoutMs: milliseconds(),
  drainTimeoutMs: milliseconds(0),
  stopTimeoutMs: milliseconds(0),
  sessions: sessionShape,
  health: literalOr(false, monitorShape),
  version: text(),
  defaults: defaultsShape,
}));

/** How a container is started. */
export interface StartOptions {
  /** Gives up the start when it aborts; what has started is stopped again. */
  readonly signal?: AbortSignal;
  /** Called at once when the background work of a resource ended although nothing had asked it to. `runMain` listens too. */
  readonly onBackgroundEnd?: (event: BackgroundEvent) => void;
  /**
   * Called as soon as the start begins, with the container that will be up once it has succeeded: its `phase` and
   * `health()` show what is starting, and why what is tried again has failed.
   */
  readonly onStarting?: (running: RunningContainer) => void;
}

/** What the options of a start must be. */
const startShape: Shape<StartOptions> = /* @__PURE__ */ shape<StartOptions>(() => ({
  signal: signal(),
  onBackgroundEnd: func(),
  onStarting: func(),
}));

const DEFAULTS: Limits = { startTimeoutMs: 60_000, drainTimeoutMs: 15_000, stopTimeoutMs: 10_000 };

/**
 * Puts resources together: what the roots need, transitively, and nothing else. It is a value; nothing happens
 * until it is started, and it can be started any number of times.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong, or a root is not a definition.
 * @throws {GRAPH_CYCLE} {GRAPH_CAPTIVE} {GRAPH_DUPLICATE_NAME} {GRAPH_OPTIONAL} {OPTIONS_INVALID} when it starts or is explained.
 *
 * @example
 * ```ts
 * import { resource } from "@steward/core";
 * import { container } from "@steward/container";
 * const config = resource("config", { start: () => ({ greeting: "hello" }) });
 * const greeter = resource("greeter", { needs: { config }, start: ({ config }) => (name: string) => `${config.greeting}, ${name}` });
 * await using running = await container([greeter]).start();
 * console.log(running.get(greeter)("world")); // => hello, world
 * ```
 */
export function container<const R extends readonly SomeDefinition[]>(
  roots: R,
  options: ContainerOptions = {},
): Container<OpenInputs<R[number]>> {
  assertShape("container", rootsRule(), roots);
  return new Container(roots, new Map(), checkShape("container", containerShape, options));
}

type OpenInputs<D extends SomeDefinition> = D extends Definition<unknown, string, infer Open> ? Open : never;

/** Resources put together, ready to be started. */
export class Container<out Open extends string = never> {
  readonly #roots: readonly AnyDefinition[];
  readonly #overrides: Overrides;
  readonly #options: ContainerOptions;
  /** Set for a strict container. */
  readonly #allowed: Allowed;

  /** @internal `container(...)` makes these. */
  constructor(
    roots: readonly AnyDefinition[],
    overrides: Overrides,
    options: ContainerOptions,
    allowed: Allowed = undefined,
  ) {
    this.#roots = roots;
    this.#overrides = overrides;
    this.#options = options;
    this.#allowed = allowed;
  }

  /**
   * The same container with a definition replaced, for a test or another environment: by a value of its type, or by
   * a definition, which may wrap the original by needing it. What only the replaced one needed is not started.
   */
  override<V, I extends HeldLifetime, O extends string>(
    definition: InputDefinition<V, I, O>,
    value: NoInfer<V>,
  ): Container<Exclude<Open, O>>;
  override<V, R extends string, O extends string, O2 extends string>(
    definition: Definition<V, R, O>,
    replacement: Definition<NoInfer<V>, ReplacementReach<NoInfer<R>>, O2>,
  ): Container<Open | O2>;
  override<V, R extends string, O extends string>(definition: Definition<V, R, O>, value: NoInfer<V>): Container<Open>;
  override<V, R extends string, O extends string, D extends AnyDefinition>(
    definition: Definition<V, R, O>,
    replacement: NoInfer<V> | (D & ReplacementFor<NoInfer<V>, NoInfer<R>, D>), // for its messages: the last overload is what the compiler speaks of
  ): Container<Open>;
  override(definition: AnyDefinition, replacement: unknown): Container<string> {
    assertDefinition("override", definition);
    const override: Override = isDefinition(replacement)
      ? { kind: "definition", definition: replacement }
      : { kind: "value", value: replacement };
    const overrides = new Map([...this.#overrides, [definition, override]]);
    return new Container(this.#roots, overrides, this.#options, this.#allowed);
  }

  /**
   * The same container with more roots: what they need, it holds and starts too.
   *
   * @example
   * ```ts
   * import { resource } from "@steward/core";
   * import { container } from "@steward/container";
   * const db = resource("db", { start: () => "db" });
   * await using running = await container([]).withRoots([db]).start();
   * console.log(running.get(db)); // => db
   * ```
   */
  withRoots(roots: readonly SomeDefinition[]): Container<Open> {
    assertShape("withRoots", rootsRule(), roots);
    return new Container([...this.#roots, ...roots], this.#overrides, this.#options, this.#allowed);
  }

  /**
   * The same container for tests: it starts nothing that reaches the outside and was not overridden. That is every
   * driver, every resource with a `guard` or a `probe`, and every resource that needs nothing, because its start has
   * all by itself. What only combines others may start, and so may what takes the place of another.
   *
   * @param allowed What may start all the same.
   *
   * @example
   * ```ts
   * import { isStewardError, resource } from "@steward/core";
   * import { container } from "@steward/container";
   * const db = resource("db", { start: () => ({ count: async () => 2 }) });
   * const users = resource("users", { needs: { db }, start: ({ db }) => db });
   * const test = container([users]).strict();
   * console.log(isStewardError(await test.start().catch((e: unknown) => e), "NOT_OVERRIDDEN")); // => true
   * await using running = await test.override(db, { count: async () => 1 }).start();
   * console.log(await running.get(users).count()); // => 1
   * ```
   */
  strict(allowed: readonly SomeDefinition[] = []): Container<Open> {
    assertShape("strict", rootsRule(), allowed);
    return new Container(this.#roots, this.#overrides, this.#options, new Set(allowed));
  }

  /**
   * Starts everything in parallel along the graph, all or nothing.
   *
   * @throws {START_FAILED} naming what failed, why, and what was stopped again.
   * @throws {OPTIONS_INVALID} listing every wrong option of every resource, before anything connects where that can be known.
   * @throws {INPUT_MISSING} when an input has no value.
   * @throws {NOT_IN_GRAPH} when an override replaces what nothing here needs.
   * @throws {NOT_OVERRIDDEN} when the container is strict, naming all that reaches the outside without an override.
   */
  async start<const B extends readonly Binding[] = readonly []>(
    this: Container<Open> & AllInputs<Open, B>,
    inputs?: B,
    options: StartOptions = {},
  ): Promise<RunningContainer> {
    const {
      name = "container",
      clock = systemClock,
      sessions = {},
      health = {},
      defaults = {},
      version,
      ...limits
    } = this.#options;
    assertShape("start", inputsRule(), inputs ?? []);
    assertShape("start", startShape, options);
    this.#refuseUnused();
    const graph = new Graph(this.#roots, this.#overrides, inputs ?? [], this.#allowed);
    const { onBackgroundEnd } = options;
    const engine = new Engine(graph, {
      name,
      clock,
      limits: { ...DEFAULTS, ...limits },
      sessions,
      health,
      defaults,
      onBackgroundEnd,
    });
    const running = new RunningContainer(engine, version);
    options.onStarting?.(running);
    await engine.start(options.signal);
    try {
      announceUp(running);
    } catch (error) {
      await running.stop();
      throw error;
    }
    return running;
  }

  /** The graph as data, without starting anything; `explain(app)` prints it. Inputs of the application show without a value. */
  graph(): GraphView {
    this.#refuseUnused();
    return viewOf(new Graph(this.#roots, this.#overrides, undefined), []);
  }

  /** @internal See {@link definitionsHeld}. */
  get held(): readonly AnyDefinition[] {
    const { nodes, roots, scopeEdges } = new Graph(this.#roots, this.#overrides, undefined);
    const found = new Set(roots);
    const follow = (edges: readonly Edge[]): void => {
      for (const edge of edges)
        if (edge.kind !== "when" && edge.kind !== "lazy" && edge.instance === undefined) found.add(edge.to);
    };
    follow(scopeEdges);
    for (const index of found) follow(nodes[index]?.edges ?? []); // it grows meanwhile
    return [...found].flatMap((index) => nodes[index]?.definition ?? []);
  }

  #refuseUnused(): void {
    refuseUnused("override", this.#overrides.keys(), this.#roots, this.#overrides);
    refuseUnused("strict", this.#allowed ?? [], this.#roots, this.#overrides);
  }
}

/** The containers of this process that are up. A server that is a resource finds its own among them. */
export function containersUp(): Iterable<RunningContainer> {
  return allUp() as Iterable<RunningContainer>; // `Container.start` announces these
}

/** The application resources that a container has as soon as it is up; what is needed lazily or by a choice is none. */
export function definitionsHeld(container: Container<never>): readonly AnyDefinition[] {
  return container.held;
}

/** Calls a listener for every container that is up from here on; the result ends that. What it throws fails the start. */
export function onContainerUp(listener: (running: RunningContainer) => void): () => void {
  return onUp(listener);
}

/**
 * Calls a listener, which throws nothing, with the value of an application resource: at once, and in the tick in which a
 * restart puts another in its place. While the resource is down nothing is called. The result ends that.
 *
 * @throws {NOT_IN_GRAPH} when the container does not hold it.
 */
export function followValue<V>(
  running: RunningContainer,
  definition: Definition<V, "application" | "process", never>,
  listener: (value: V) => void,
): () => void {
  return running.follow(definition, listener as (value: unknown) => void); // the graph keeps a value with its definition
}
