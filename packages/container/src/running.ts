import { announceDown } from "./main/up.ts";
import type { Binding, Definition, MetricSample, MetricsSource, Phase } from "@steward/core";
import { assertShape, isDefinition, nearest, type Needs, type ValuesOf } from "@steward/core/container";
import type { Engine } from "./lifecycle/engine.ts";
import { containerError } from "./errors.ts";
import { viewOf, type GraphView } from "./graph/view.ts";
import { healthOf, type HealthReport } from "./health/report.ts";
import { countSeries, healthSeries, seriesOf, statsOf, type ResourceStats } from "./health/stats.ts";
import type { LiveNode } from "./lifecycle/live-node.ts";
import { ANNOUNCED } from "./main/shutdown-announced.ts";
import { assertDefinition, type RestartOptions, restartShape, stopShape, type StopOptions } from "./options.ts";
import { PreparedNeeds } from "./scope/prepared.ts";
import { openScope, runScope, type Scope, type ScopeWork } from "./scope/run-scope.ts";
import type { InputsOf, Resolved, HeldByContainer, ScopeNeeds, SomeDefinition } from "./scope/scope-types.ts";
import { SessionHandle } from "./session/session-handle.ts";

/** A container whose resources are up. */
export class RunningContainer implements AsyncDisposable, MetricsSource {
  readonly #engine: Engine;
  readonly #version: string | undefined;
  #report: { readonly key: string; readonly report: HealthReport } | undefined;

  /** @internal Containers make these. */
  constructor(engine: Engine, version: string | undefined) {
    this.#engine = engine;
    this.#version = version;
  }

  /** @internal See `announceShutdown`. */
  [ANNOUNCED](): void {
    this.#engine.events.shutdown("announced");
  }

  /** Name of the container, as its options say. */
  get name(): string {
    return this.#engine.events.container;
  }

  /** Where the container is in its life. */
  get phase(): Phase {
    return this.#engine.phase;
  }

  /** How long the start took, in ms. */
  get startedInMs(): number {
    return this.#engine.startedInMs;
  }

  /**
   * The value of an application resource; `undefined` when configuration disabled it.
   *
   * @throws {NOT_IN_GRAPH} when the container does not hold it, or holds it only lazily and it has not been used yet.
   */
  get<D extends SomeDefinition>(definition: D & HeldByContainer<D>): Resolved<D> {
    return this.#nodeOf("get", definition).value as Resolved<D>; // the graph keeps a value with its definition
  }

  /** @internal See `followValue`. */
  follow(definition: SomeDefinition, listener: (value: unknown) => void): () => void {
    return this.#engine.state.follow(this.#nodeOf("follow", definition).graph.index, listener);
  }

  /**
   * The value of an application resource by its name, for names that come from data.
   *
   * @throws {NOT_IN_GRAPH} naming the nearest known name.
   */
  byName(name: string): unknown {
    return this.#live(this.#engine.graph.byName.get(name), name).value;
  }

  /**
   * Opens a scope, resolves `needs`, and calls `fn` with them: in the same tick where nothing in between has to be
   * waited for. The scope closes when `fn` has settled; its result or error is the outcome.
   *
   * @throws {INPUT_MISSING} when a need wants an input that is not given.
   * @throws {CONTAINER_CLOSED} when the container stops.
   */
  scope<const B extends readonly Binding[], const N extends Needs, R>(
    inputs: B,
    needs: N & ScopeNeeds<N, InputsOf<B>>,
    fn: (values: ValuesOf<N>, scope: Scope<InputsOf<B>>) => R,
  ): Promise<Awaited<R>>;
  /** Opens a scope that the caller closes. */
  scope<const B extends readonly Binding[] = readonly []>(inputs?: B): Scope<InputsOf<B>>;
  scope(inputs?: readonly Binding[], needs?: Needs, fn?: ScopeWork): Scope | Promise<unknown> {
    if (needs === undefined || fn === undefined) return openScope(this.#engine, inputs, undefined);
    return runScope(this.#engine, inputs, needs, fn, undefined);
  }

  /** The session of a key; opened with `inputs` when it is used and there is none. */
  session<const B extends readonly Binding[] = readonly []>(key: string, inputs?: B): SessionHandle<InputsOf<B>> {
    return new SessionHandle(this.#engine, key, inputs ?? []);
  }

  /** Needs compiled once, for frameworks that open a scope for every request and choose its moments themselves. */
  prepare(needs: Needs): PreparedNeeds {
    return new PreparedNeeds(this.#engine, needs);
  }

  /**
   * Replaces a definition, by a value or another definition, in scopes that open from now on; disposing takes it back.
   * For tests. What the container itself holds stays as it is: that is replaced by `container.override` before the start.
   */
  override<V, R extends string, O extends string>(
    definition: Definition<V, R, O>,
    replacement: NoInfer<V> | Definition<NoInfer<V>, string, string>,
  ): Disposable {
    assertDefinition("override", definition);
    const restore = this.#engine.overrideScoped(
      definition,
      isDefinition(replacement)
        ? { kind: "definition", definition: replacement }
        : { kind: "value", value: replacement },
    );
    return { [Symbol.dispose]: restore };
  }

  /** Runs `fn` with a resource pinned: a restart meanwhile waits for it. */
  async use<D extends SomeDefinition, R>(
    definition: D & HeldByContainer<D>,
    fn: (value: Resolved<D>) => R,
  ): Promise<Awaited<R>> {
    const engine = this.#engine;
    const scope = await engine.scopes.openLater();
    try {
      return await fn(this.get(definition));
    } finally {
      scope.endAtOnce();
    }
  }

  /**
   * Replaces a resource and everything that holds it by new instances. Scopes that hold the old ones finish on them
   * first, for at most the drain timeout; so do not wait for a restart inside of a scope. The caller's deadline, that
   * of its request and `options` end the restart before the new instances are in use, and after that only the wait.
   *
   * @param options.signal Gives the restart up.
   * @param options.timeoutMs Longest wait, in ms. Default: none but the start and drain timeouts of the container.
   * @throws {OPTIONS_INVALID} when it is handed no definition, or an option is unknown or wrong; nothing is restarted then.
   * @throws {RESTART_FAILED} when a new instance does not start; unless it can exist only once, the old one stays in use.
   * @throws {RESTART_REFUSED} for a `process` resource, or what it restarts with it, that other containers hold too.
   */
  async restart(definition: SomeDefinition, options: RestartOptions = {}): Promise<void> {
    const { index } = this.#nodeOf("restart", definition).graph;
    assertShape("restart", restartShape, options);
    await this.#engine.restart(index, options);
  }

  /** Replaces what lies below a resource's client (connections, credentials); its dependants notice nothing. */
  async renew(definition: SomeDefinition): Promise<void> {
    await this.#nodeOf("renew", definition).manager?.renew();
  }

  /** The numbers of every resource, by name: uptime, availability, calls, and those of its driver. */
  stats(): Readonly<Record<string, ResourceStats>> {
    const now = this.#engine.clock.now();
    return Object.fromEntries(
      this.#managed.map((node) => {
        return [node.name, statsOf(node, now, this.#engine.monitor?.availabilityOf(node.name))];
      }),
    );
  }

  get #managed(): LiveNode[] {
    return this.#engine.live.filter((node) => node.manager !== undefined);
  }

  /** How all resources are, root causes first, from lifecycle, probes and real calls. No I/O; made anew when something changed, or after a second. */
  health(): HealthReport {
    const { monitor, phase, clock } = this.#engine;
    const key = `${phase} ${monitor?.version ?? clock.now()} ${Math.floor(clock.now() / 1_000)}`;
    if (this.#report?.key !== key) this.#report = { key, report: healthOf(this.#engine, this.#version) };
    return this.#report.report;
  }

  /** Probes all resources now, in parallel, and says how they are. One failed probe alone makes nothing unhealthy. */
  async probe(): Promise<HealthReport> {
    const { monitor, live } = this.#engine;
    await (monitor === undefined ? Promise.allSettled(live.map((node) => node.manager?.probe())) : monitor.probeAll());
    return this.health();
  }

  /** The series of all resources and their health: 1 healthy, 0.5 degraded, 0 unhealthy, none while it is unknown. No I/O. */
  *metrics(): Iterable<MetricSample> {
    const { defaults } = this.#engine;
    const shown = this.#managed.filter((node) => node.graph.spec.settings.metrics ?? defaults.metrics ?? true);
    const names = new Set(shown.map((node) => node.name));
    for (const { manager } of shown) if (manager?.metrics !== undefined) yield* manager.metrics();
    const stats = Object.entries(this.stats());
    for (const [name, one] of stats) if (names.has(name)) yield* seriesOf(name, one);
    yield* countSeries(stats.map(([, { phase }]) => phase));
    for (const health of this.health().resources) if (names.has(health.name)) yield* healthSeries(health);
    yield {
      name: "resource_scopes_open",
      kind: "gauge",
      unit: "{scope}",
      attributes: {},
      value: this.#engine.scopes.size,
    };
  }

  /** The graph as data, with states and start times; `explain(running)` prints it with the critical path. */
  graph(): GraphView {
    return viewOf(this.#engine.graph, this.#engine.state.current.live);
  }

  /** Takes no new work and waits for what runs, roots first. `stop` does it too. */
  async drain(): Promise<void> {
    await this.#engine.drain();
  }

  /**
   * Drains, then stops everything in reverse, in parallel where the graph allows. Any number of callers share one outcome.
   *
   * @throws {OPTIONS_INVALID} when an option is unknown or wrong; nothing is stopped then.
   * @throws {STOP_FAILED} naming everything that failed or hung; the rest has been stopped all the same.
   */
  stop(options: StopOptions = {}): Promise<void> {
    assertShape("stop", stopShape, options);
    return this.#engine.stop(options.timeoutMs).finally(() => announceDown(this));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #nodeOf(entry: string, definition: SomeDefinition): LiveNode {
    assertDefinition(entry, definition);
    return this.#live(this.#engine.graph.indexOf(definition), definition.name);
  }

  #live(index: number | undefined, name: string): LiveNode {
    const { graph, state } = this.#engine;
    const node = index === undefined ? undefined : state.live(index);
    if (node !== undefined) return node;
    const near = nearest(name, graph.byName.keys());
    const hint =
      index !== undefined
        ? "it is needed only lazily and it has not been used yet"
        : near === undefined
          ? "add it to the roots of container([...])"
          : `did you mean "${near}"?`;
    throw containerError("NOT_IN_GRAPH", `this container does not hold "${name}": ${hint}`, { resource: name });
  }
}
