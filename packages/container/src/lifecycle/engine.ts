import type { BackgroundEvent, Binding, Clock, Phase } from "@steward/core";
import { LazyAbort, Lifecycle, type Needs, type ResourceDefaults } from "@steward/core/container";
import { announceBackgroundEnd, type BackgroundEnd } from "./background.ts";
import type { ChangeOrder, NodeStarts } from "../start/node-starts.ts";
import type { CachedHost } from "./cached-instances.ts";
import { firstOf, forCaller, type CallerOptions } from "./caller.ts";
import { drain, type DrainHost } from "../stop/drain.ts";
import { Events } from "./events.ts";
import { containerError, type NodeFailure } from "../errors.ts";
import type { AnyDefinition, Graph, Override } from "../graph/graph.ts";
import { HealthMonitor, type MonitorOptions } from "../health/monitor.ts";
import { HeldNodes, type Held } from "../graph/held-nodes.ts";
import { HeldValues } from "./held-values.ts";
import type { Instance } from "./detached-instance.ts";
import { LateStarts, type LateStartHost } from "../start/late-starts.ts";
import type { LiveNode } from "./live-node.ts";
import { OpenScopes, type OpenScopesHost } from "../scope/open-scopes.ts";
import { compilePlan } from "../scope/plan-compiler.ts";
import type { CachedDemand, Plan, PlanKind } from "../scope/plan.ts";
import { Plans } from "../scope/plan-cache.ts";
import { Restarts, type RestartHost } from "../restart/restarts.ts";
import { Retries } from "../start/retries.ts";
import { SessionState, type SessionHost } from "../session/session.ts";
import type { Sessions, SessionOptions } from "../session/sessions.ts";
import { StartAttempt } from "../start/start-attempt.ts";
import { startError } from "../start/start-error.ts";
import { ContainerState, dependantsOf, type Generation } from "./state.ts";
import { changeValue } from "../restart/value-change.ts";
import { StopBudget, type Limits } from "../stop/stop-budget.ts";
import { stopNodes, type StoppedNodes } from "../stop/stop.ts";
import { firstOfAll } from "../graph/first-of-all.ts";
import { stopError } from "../stop/stop-error.ts";
import type { ValueHolder } from "../scope/value-holder.ts";
import { Bounds } from "../scope/bounds.ts";

/** What a container is made with, besides its graph. */
export interface EngineOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly sessions: SessionOptions;
  readonly health: MonitorOptions | false;
  readonly defaults: ResourceDefaults;
  readonly onBackgroundEnd?: ((event: BackgroundEvent) => void) | undefined;
}

/** Everything a running container consists of; `Running` is its public face. */
export class Engine implements OpenScopesHost, SessionHost, CachedHost, RestartHost, LateStartHost, DrainHost {
  readonly graph: Graph;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly state: ContainerState;
  readonly restarts: Restarts;
  readonly scopes: OpenScopes;
  readonly bounds: Bounds;
  /** Watches the health of what is live; `undefined` where that was declined. */
  readonly monitor: HealthMonitor | undefined;
  /** No assignment: V8 puts a function that is assigned to a property among the old objects, with all that it refers to. */
  readonly onBackgroundEnd = (end: BackgroundEnd): void => {
    this.monitor?.sync();
    announceBackgroundEnd(this.events, end, this.#onBackgroundEnd);
  };
  /** What is published of it. */
  readonly events: Events;
  readonly defaults: ResourceDefaults;
  readonly dependants: readonly (readonly number[])[];
  /** How long the start took, in ms. */
  startedInMs = 0;
  /** When it became ready, in ms of the clock. */
  readyAt: number | undefined;
  readonly #onBackgroundEnd: (event: BackgroundEvent) => void;
  readonly #lifecycle: Lifecycle;
  readonly #starts: LateStarts;
  readonly #values: HeldValues;
  readonly #held: HeldNodes;
  readonly #plans: Plans;
  readonly #retries: Retries;
  readonly #budget: StopBudget;
  #refusesScopes = false;
  readonly #abortStart = new LazyAbort();
  #starting: Promise<void> | undefined;
  #draining: Promise<readonly NodeFailure[]> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(
    graph: Graph,
    { name, clock, limits, sessions, health, defaults, onBackgroundEnd = () => {} }: EngineOptions,
  ) {
    this.defaults = defaults;
    this.graph = graph;
    this.clock = clock;
    this.events = new Events(name, clock);
    this.limits = limits;
    this.dependants = dependantsOf(graph);
    this.state = new ContainerState(graph, () => this.monitor?.sync());
    this.restarts = new Restarts(this);
    this.scopes = new OpenScopes(this);
    this.bounds = new Bounds(clock);
    this.#lifecycle = new Lifecycle(name, clock);
    this.#starts = new LateStarts(this);
    this.#values = new HeldValues(this, sessions, (inputs, bounds) => new SessionState(this, inputs, bounds));
    this.#held = new HeldNodes(graph);
    this.#plans = new Plans((generation, needs, kind) => this.#compile(generation, needs, kind));
    this.#retries = new Retries(clock, (node) => this.state.refresh(node));
    this.#budget = new StopBudget(clock, limits);
    this.monitor = health === false ? undefined : new HealthMonitor(this, health);
    this.#onBackgroundEnd = onBackgroundEnd;
  }

  get sessions(): Sessions {
    return this.#values.sessions;
  }

  /** Starts of nodes that no restart replaces. */
  get starts(): NodeStarts {
    return this.#starts.nodes;
  }

  /** Live instances, in the order of the graph. */
  get live(): LiveNode[] {
    return this.state.nodes;
  }

  get phase(): Phase {
    return this.#lifecycle.phase;
  }

  /** Why it did not start. */
  get failure(): unknown {
    const { state } = this.#lifecycle;
    return state.phase === "failed" ? state.error : undefined;
  }

  /** What is starting, waits to be tried again, or is up and waits for the rest of its start. */
  get starting(): readonly LiveNode[] {
    return this.starts.inFlight;
  }

  // --- start -------------------------------------------------------------------------------------------------------

  /** Starts everything; a stop meanwhile gives it up. */
  start(outer: AbortSignal | undefined): Promise<void> {
    return (this.#starting = this.#start(outer));
  }

  async #start(outer: AbortSignal | undefined): Promise<void> {
    this.#lifecycle.move(["idle"], "starting");
    const since = this.clock.now();
    const attempt = new StartAttempt({ isWhole: true });
    const wanted = { first: firstOfAll(this.graph), indices: this.graph.roots, edges: this.graph.scopeEdges };
    const { signal, end } = firstOf(this.#abortStart.signal, outer);
    const succeeded = await attempt.run(this.starts, this.clock, wanted, this.limits.startTimeoutMs, signal);
    end();
    if (!succeeded) throw await this.#rollBack(attempt);
    this.readyAt = this.clock.now();
    this.startedInMs = this.readyAt - since;
    this.#lifecycle.move(["starting"], "ready");
    this.state.publish(attempt.handOver(this.starts));
  }

  async #rollBack(attempt: StartAttempt): Promise<Error> {
    this.#starts.close(() => attempt.failures[0]?.cause);
    const taken = await attempt.release();
    await Promise.all([this.#starts.settled(), this.#retries.close(), this.monitor?.close()]);
    const rest = await this.takeDown(this.state.nodes); // what lazy edges had started
    const error = startError(attempt, {
      order: [...taken.order, ...rest.order],
      failures: [...taken.failures, ...rest.failures],
    });
    this.#lifecycle.move(["starting"], "failed", error);
    return error;
  }

  /** Stops nodes with a time budget of its own; a stop of the container may end it earlier. */
  async takeDown(nodes: readonly LiveNode[]): Promise<StoppedNodes> {
    if (nodes.length === 0) return { order: [], failures: [] };
    const budget = new StopBudget(this.clock, this.limits);
    budget.stopResources();
    const end = budget.follow(this.#budget);
    try {
      await budget.share(1 / 2, this.#retries.drop(nodes));
      return await stopNodes(this.clock, nodes, (index) => this.dependants[index] ?? [], budget);
    } finally {
      end();
      budget.close();
    }
  }

  onDown(node: LiveNode): void {
    this.#retries.add(node);
  }

  // --- changes -----------------------------------------------------------------------------------------------------

  claimOn(index: number, asker: number): Promise<void> | undefined {
    return this.restarts.claimOn(index, asker);
  }

  changeValue(order: ChangeOrder): Promise<void> {
    return changeValue(this, this.#starting, order);
  }

  /** Restarts one resource and what holds it. */
  restart(index: number, options: CallerOptions): Promise<void> {
    const name = this.graph.nodes[index]?.name ?? "";
    return forCaller(this.clock, `the restart of "${name}"`, options, (signal) => this.restarts.restart(index, signal));
  }

  releaseHolders(nodes: readonly LiveNode[], bounds: Bounds): Promise<readonly NodeFailure[]> {
    return this.#values.release(nodes, bounds);
  }

  // --- scopes ------------------------------------------------------------------------------------------------------

  planFor(generation: Generation, needs: Needs, kind: PlanKind): Plan {
    return this.#plans.of(generation, needs, kind);
  }

  #compile(generation: Generation, needs: Needs, kind: PlanKind): Plan {
    this.graph.admit(Object.values(needs));
    return compilePlan(this.state, generation, needs, kind);
  }

  /** Replaces a definition for scopes that open from now on; gives what takes it back. */
  overrideScoped(definition: AnyDefinition, override: Override): () => void {
    const restore = this.graph.overrideScoped(definition, override);
    const changed = (): void => {
      this.#held.forget();
      this.state.touch();
    };
    changed();
    return () => {
      restore();
      changed();
    };
  }

  /** Why no scope can open now, or `undefined`. */
  refusal(): Error | undefined {
    if (!this.#refusesScopes && (this.phase === "ready" || this.phase === "draining")) return undefined;
    return containerError("CONTAINER_CLOSED", `no scope can open: the container is ${this.phase}`, { retryable: true });
  }

  makeInstance(definition: AnyDefinition, generation: Generation, own?: Binding): Promise<Instance> {
    return this.#starts.instance(definition, generation, own);
  }

  async instantiate(definition: AnyDefinition, holder: ValueHolder): Promise<unknown> {
    const { value, stop } = await this.makeInstance(definition, holder.generation);
    holder.willCleanUp({ definition, handler: false, generator: undefined, value, stop });
    return value;
  }

  useCached(demand: CachedDemand, holder: ValueHolder): Promise<unknown> {
    return this.#values.cached.use(demand, holder);
  }

  lazily(index: number): Promise<unknown> {
    return this.#starts.lazily(index);
  }

  /** As {@link lazily}, for a scope: it holds the instance until it ends. */
  async lazilyFor(index: number, holder: ValueHolder): Promise<unknown> {
    const { generation } = holder;
    if (generation.live[index] === undefined) await this.lazily(index);
    const own = generation.live[index];
    if (own !== undefined) return own.value;
    const { definition } = this.graph.nodes[index] ?? {}; // it started in a later generation, which the scope holds too
    const later = this.state.pin();
    const stop = (): void => this.state.unpin(later);
    if (definition !== undefined)
      holder.willCleanUp({ definition, handler: false, generator: undefined, value: later, stop });
    return later.live[index]?.value;
  }

  heldBy(definition: AnyDefinition, generation: Generation): Held {
    return this.#held.of(definition, generation);
  }

  // --- stop --------------------------------------------------------------------------------------------------------

  /** Takes no new work and settles what runs. */
  drain(): Promise<readonly NodeFailure[]> {
    if (this.phase !== "ready" && this.#draining === undefined) return Promise.resolve([]);
    this.#budget.drain();
    return (this.#draining ??= this.#drain());
  }

  #drain(): Promise<readonly NodeFailure[]> {
    if (this.#lifecycle.move(["ready"], "draining")) this.events.shutdown("draining");
    return drain(this, this.#budget);
  }

  get stillStarting(): string[] {
    return this.starts.names;
  }

  async endChanges(): Promise<void> {
    this.restarts.close();
    await Promise.all([this.#retries.close(), this.monitor?.close(), this.restarts.settled()]);
  }

  refuseScopes(): void {
    this.#refusesScopes = true;
  }

  async refuseWork(): Promise<void> {
    this.#starts.close(() => containerError("CONTAINER_CLOSED", "the container stops"));
    await this.#starts.settled();
  }

  /** @param timeoutMs Longest drain and stop in all, in ms. Default: the limits of the container. */
  stop(timeoutMs: number | undefined): Promise<void> {
    this.#budget.stop(timeoutMs);
    return (this.#stopping ??= this.#stop());
  }

  async #stop(): Promise<void> {
    if (this.readyAt === undefined)
      this.#abortStart.abort(() => containerError("CONTAINER_CLOSED", "a stop was asked for"));
    if (this.phase === "starting") await this.#budget.share(1, this.#starting?.catch(() => {}) ?? Promise.resolve()); // its caller learns how it went
    if (this.phase !== "ready" && this.phase !== "draining") return this.#budget.close();
    const drained = await this.drain();
    if (this.#lifecycle.move(["draining"], "stopping")) this.events.shutdown("stopping");
    this.#budget.stopResources();
    const ofHolders = await this.#values.closeWithin(this.#budget);
    const nodes = [...this.state.toStop, ...this.starts.staged, ...this.restarts.staged];
    const { failures } = await stopNodes(this.clock, nodes, (index) => this.dependants[index] ?? [], this.#budget);
    this.#budget.close();
    const all = [...drained, ...ofHolders, ...this.restarts.failures, ...failures];
    const error = all.length === 0 ? undefined : stopError(this.graph, all, nodes);
    if (this.#lifecycle.move(["stopping"], "stopped", error)) this.events.shutdown("stopped", error);
    if (error !== undefined) throw error;
  }
}
