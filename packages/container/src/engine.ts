import {
  Lifecycle,
  sharedAbortController,
  type BackgroundEvent,
  type Binding,
  type Clock,
  type Needs,
  type Phase,
} from "@steward/core";
import { dependantsOf, indicesOf, neededBy, nextGeneration, type Assembly, type Generation } from "./assembly.ts";
import { announceBackgroundEnd, type BackgroundEnd } from "./background.ts";
import { BringUp, startError } from "./bring-up.ts";
import { CachedInstances } from "./cached.ts";
import { containerError, StopError, type NodeFailure } from "./errors.ts";
import type { AnyDefinition, Graph, Override } from "./graph.ts";
import { HealthMonitor, type MonitorOptions } from "./health-monitor.ts";
import { makeInstance } from "./instance.ts";
import type { LiveNode } from "./node.ts";
import { compilePlan, type Plan, type PlanKind } from "./plan.ts";
import { Plans } from "./plans.ts";
import { restart } from "./restart.ts";
import { Retries } from "./retries.ts";
import { ScopeState, type ScopeHost } from "./scope.ts";
import { Sessions, type SessionOptions } from "./sessions.ts";
import { inOrder, stopMessage, takeDown } from "./take-down.ts";

/** Bounds of a container, in ms. */
export interface Limits {
  readonly startTimeoutMs: number;
  readonly drainTimeoutMs: number;
  readonly stopTimeoutMs: number;
}

/** Everything a running container consists of; `Running` is its public face. */
export class Engine implements Assembly, ScopeHost {
  readonly graph: Graph;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly sessions: Sessions;
  /** Watches the health of what is live; `undefined` where that was declined. */
  readonly monitor: HealthMonitor | undefined;
  readonly onBackgroundEnd: (end: BackgroundEnd) => void;
  readonly dependants: readonly (readonly number[])[];
  current: Generation;
  /** Set while scopes have to wait, because something that exists only once is being restarted. */
  gate: Promise<void> | undefined;
  /** Set while no scope can open, because a restart that had to stop the old instance first could not start the new one. */
  broken: { readonly error: unknown; readonly affected: readonly number[] } | undefined;
  /** How long the start took, in ms. */
  startedInMs = 0;
  /** When it became ready, in ms of the clock. */
  readyAt: number | undefined;
  #bringUp: BringUp | undefined;
  readonly #lifecycle: Lifecycle;
  #plans: Plans;
  /** Counts up whenever plans have to be made anew. */
  planVersion = 0;
  readonly #cached: CachedInstances;
  readonly #retries: Retries;
  readonly #abort = sharedAbortController();
  #openScopes = 0;
  #scopes: ScopeState | undefined;
  #refusesScopes = false;
  #onIdle: (() => void)[] = [];
  /** The last lazy start or restart; one at a time. */
  #changes: Promise<unknown> = Promise.resolve();
  readonly #retiredFailures: NodeFailure[] = [];
  #draining: Promise<readonly NodeFailure[]> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(
    name: string,
    graph: Graph,
    clock: Clock,
    limits: Limits,
    sessions: SessionOptions,
    health: MonitorOptions | false,
    onBackgroundEnd: (event: BackgroundEvent) => void = () => {},
  ) {
    this.onBackgroundEnd = (end) => {
      this.monitor?.sync();
      announceBackgroundEnd(name, end, onBackgroundEnd);
    };
    this.graph = graph;
    this.clock = clock;
    this.limits = limits;
    this.dependants = dependantsOf(graph);
    this.current = nextGeneration(graph.nodes.length);
    this.#lifecycle = new Lifecycle(name, clock);
    this.#plans = new Plans((needs, kind) => this.#compile(needs, kind));
    this.#cached = new CachedInstances(clock, (definition) => makeInstance(this, definition, this.#abort.signal));
    this.#retries = new Retries(clock, (node) => this.#cameUp(node));
    this.monitor = health === false ? undefined : new HealthMonitor(this, health);
    this.sessions = new Sessions(clock, sessions, (inputs) => this.open(inputs, undefined, "session"));
  }

  get phase(): Phase {
    return this.#lifecycle.phase;
  }

  /** Why it did not start. */
  get failure(): unknown {
    const { state } = this.#lifecycle;
    return state.phase === "failed" ? state.error : undefined;
  }

  /** What is starting with the container, or waits to be tried again. */
  get starting(): readonly LiveNode[] {
    return this.#bringUp?.inFlight ?? [];
  }

  get openScopes(): number {
    return this.#openScopes;
  }

  /** Instances of now, in the order of the graph. */
  get live(): LiveNode[] {
    return this.current.live.filter((node) => node !== undefined);
  }

  // --- start -------------------------------------------------------------------------------------------------------

  async start(outer: AbortSignal | undefined): Promise<void> {
    this.#lifecycle.move(["idle"], "starting");
    const since = this.clock.now();
    const up = (this.#bringUp = new BringUp(this, this.current, (node) => this.#retries.add(node)));
    await up.run(this.graph.roots, this.graph.scopeEdges, this.limits.startTimeoutMs, outer);
    if (up.failures.length > 0) throw await this.#rollBack(up);
    this.#bringUp = undefined;
    this.readyAt = this.clock.now();
    this.startedInMs = this.readyAt - since;
    this.#lifecycle.move(["starting"], "ready");
    this.monitor?.sync();
  }

  async #rollBack(up: BringUp): Promise<Error> {
    await this.#retries.close();
    const { order, failures } = await this.#takeDown(up.started);
    const error = startError(up, order, failures);
    this.#lifecycle.move(["starting"], "failed", error);
    return error;
  }

  /** Stops nodes with a time budget of its own. */
  async #takeDown(
    nodes: readonly LiveNode[],
    timeoutMs: number = this.limits.stopTimeoutMs,
  ): Promise<{ order: readonly string[]; failures: readonly NodeFailure[] }> {
    const abort = sharedAbortController();
    const timer = this.clock.setTimeout(() => abort.abort(), timeoutMs);
    try {
      return await takeDown(this.clock, nodes, (index) => this.dependants[index] ?? [], abort.signal);
    } finally {
      timer.cancel();
    }
  }

  /** A resource that was down is up: whoever asks from now on gets it. */
  #cameUp(node: LiveNode): void {
    if (this.current.live[node.graph.index] === node) this.current.values[node.graph.index] = node.valueIfUp;
  }

  /** Tries to start an optional resource until it is up. */
  retry(node: LiveNode): void {
    this.#retries.add(node);
  }

  /** Restarts one resource and what holds it; one restart at a time. */
  restart(index: number): Promise<void> {
    const restarted = this.#changes.then(() => restart(this, index)).finally(() => this.monitor?.sync());
    this.#changes = restarted.catch(() => {});
    return restarted;
  }

  /** Instances that failed to stop after a restart; told when the container stops. */
  noteRetired(failures: readonly NodeFailure[]): void {
    this.#retiredFailures.push(...failures);
  }

  /** Starts what a lazy edge points to, unless it is up or already starting. */
  startLazily(index: number): Promise<unknown> {
    const live = this.current.live[index];
    if (live !== undefined) return Promise.resolve(live.value);
    const started = this.#startLate(index);
    return started;
  }

  async #startLate(index: number): Promise<unknown> {
    const name = this.graph.nodes[index]?.name ?? "";
    if (this.phase !== "ready" && this.phase !== "starting")
      throw containerError("CONTAINER_CLOSED", `"${name}" cannot start any more: the container is ${this.phase}`, {
        resource: name,
      });
    const up = new BringUp(this, this.current, (node) => this.#retries.add(node));
    await up.run([index], [], this.limits.startTimeoutMs, this.#abort.signal);
    const arrived = this.current.live[index];
    this.monitor?.sync();
    if (arrived !== undefined) return arrived.value;
    for (const node of up.started) {
      this.current.live[node.graph.index] = undefined;
      this.current.values[node.graph.index] = undefined;
    }
    const { order, failures } = await this.#takeDown(up.started);
    throw startError(up, order, failures);
  }

  // --- scopes ------------------------------------------------------------------------------------------------------

  planFor(needs: Needs, kind: PlanKind): Plan {
    return this.#plans.of(needs, kind);
  }

  /** Replaces a definition for scopes that open from now on; gives what takes it back. */
  overrideScoped(definition: AnyDefinition, override: Override): () => void {
    const restore = this.graph.overrideScoped(definition, override);
    this.#forgetPlans();
    return () => {
      restore();
      this.#forgetPlans();
    };
  }

  #forgetPlans(): void {
    this.#plans = new Plans((needs, kind) => this.#compile(needs, kind));
    this.planVersion++;
  }

  #compile(needs: Needs, kind: PlanKind): Plan {
    this.graph.admit(Object.values(needs));
    return compilePlan(this, needs, kind);
  }

  /** Why no scope can open now, or `undefined`. */
  refusal(): Error | undefined {
    if (!this.#refusesScopes && (this.phase === "ready" || this.phase === "draining")) return undefined;
    return containerError("CONTAINER_CLOSED", `no scope can open: the container is ${this.phase}`, { retryable: true });
  }

  /** Waits while something that exists only once is being restarted. */
  async passGate(): Promise<void> {
    await this.gate;
    if (this.broken !== undefined) throw this.broken.error;
  }

  /** Opens a scope. The caller has looked at `refusal`. */
  open(inputs: readonly Binding[] | undefined, session: ScopeState | undefined, kind?: PlanKind): ScopeState {
    const scope = new ScopeState(this, this.current, inputs, session, kind);
    scope.after = this.#scopes;
    if (this.#scopes !== undefined) this.#scopes.before = scope;
    this.#scopes = scope;
    this.#openScopes++;
    return scope;
  }

  scopeClosed(scope: ScopeState): void {
    if (scope.before === undefined) this.#scopes = scope.after;
    else scope.before.after = scope.after;
    if (scope.after !== undefined) scope.after.before = scope.before;
    this.#openScopes--;
    this.returned(scope.generation);
  }

  /** A borrower of a generation has gone. */
  returned(generation: Generation): void {
    if (--generation.borrowers > 0) return;
    generation.onIdle?.();
    if (this.#openScopes === this.sessions.size && this.#onIdle.length > 0)
      for (const wake of this.#onIdle.splice(0)) wake();
  }

  async instantiate(definition: AnyDefinition, scope: ScopeState): Promise<unknown> {
    const { value, stop } = await makeInstance(this, definition, this.#abort.signal);
    scope.willExit({ name: definition.name, handler: false, generator: undefined, value, stop });
    return value;
  }

  borrowCached(definition: AnyDefinition, ttlMs: number, scope: ScopeState): Promise<unknown> {
    return this.#cached.borrow(definition, ttlMs, scope);
  }

  // --- stop --------------------------------------------------------------------------------------------------------

  /** Takes no new work and settles what runs: first what nobody's scope uses (servers, consumers), then open scopes, then the rest. */
  drain(timeoutMs: number = this.limits.drainTimeoutMs): Promise<readonly NodeFailure[]> {
    return (this.#draining ??= this.#drain(timeoutMs));
  }

  async #drain(timeoutMs: number): Promise<readonly NodeFailure[]> {
    this.#lifecycle.move(["ready"], "draining");
    const failures: NodeFailure[] = [];
    const abort = sharedAbortController();
    const timer = this.clock.setTimeout(
      () => abort.abort(new Error(`all drains together may take ${Math.round(timeoutMs)} ms`)),
      timeoutMs,
    );
    const used = this.#usedByScopes();
    await Promise.all([this.#retries.close(), this.monitor?.close()]);
    await this.#drainNodes(
      this.live.filter((node) => !used.has(node.graph.index)),
      abort.signal,
      failures,
    );
    await this.#drainScopes(abort.signal, failures);
    this.#refusesScopes = true;
    await this.#drainNodes(
      this.live.filter((node) => used.has(node.graph.index)),
      abort.signal,
      failures,
    );
    timer.cancel();
    return failures;
  }

  #usedByScopes(): Set<number> {
    const used = new Set<number>();
    const add = (index: number): void => {
      if (used.has(index)) return;
      used.add(index);
      for (const edge of this.graph.nodes[index]?.edges ?? []) for (const to of indicesOf(edge)) add(to);
    };
    for (const index of this.graph.usedByScopes) add(index);
    return used;
  }

  async #drainNodes(nodes: readonly LiveNode[], signal: AbortSignal, failures: NodeFailure[]): Promise<void> {
    await inOrder(
      nodes,
      (index) => this.dependants[index] ?? [],
      async (node) => {
        const since = this.clock.now();
        try {
          await node.manager?.drain({ signal });
        } catch (cause) {
          failures.push({ resource: node.name, phase: "drain", durationMs: this.clock.now() - since, cause });
        }
      },
    );
  }

  async #drainScopes(signal: AbortSignal, failures: NodeFailure[]): Promise<void> {
    const since = this.clock.now();
    if (await this.#scopesEnd(signal)) return;
    const left = this.#openScopes;
    for (let scope = this.#scopes; scope !== undefined; scope = scope.after)
      scope.abort(containerError("CONTAINER_CLOSED", "the container stops"));
    const abort = sharedAbortController();
    const timer = this.clock.setTimeout(() => abort.abort(), ABORTED_SCOPE_GRACE_MS);
    await this.#scopesEnd(abort.signal);
    timer.cancel();
    const cause = new Error(`${left} scopes were still open and were aborted; ${this.#openScopes} of them did not end`);
    failures.push({ resource: "scopes", phase: "drain", durationMs: this.clock.now() - since, cause });
  }

  /** Waits until no scope is open but those of sessions; `false` when the signal aborts first. */
  async #scopesEnd(signal: AbortSignal): Promise<boolean> {
    if (this.#openScopes === this.sessions.size) return true;
    if (signal.aborted) return false;
    return new Promise((resolve) => {
      this.#onIdle.push(() => resolve(true));
      signal.addEventListener("abort", () => resolve(false), { once: true });
    });
  }

  /** @param timeoutMs Longest drain and stop in all, in ms: the drain has two thirds of it. Default: the limits of the container. */
  stop(timeoutMs: number = Number.POSITIVE_INFINITY): Promise<void> {
    return (this.#stopping ??= this.#stop(timeoutMs));
  }

  async #stop(timeoutMs: number): Promise<void> {
    const since = this.clock.now();
    this.#abort.abort(containerError("CONTAINER_CLOSED", "the container stops"));
    await this.#changes;
    const drained = await this.drain(Math.min(this.limits.drainTimeoutMs, (timeoutMs * 2) / 3));
    this.#lifecycle.move(["draining"], "stopping");
    await this.sessions.close();
    await this.#cached.close();
    const nodes = this.live;
    const leftMs = Math.max(0, timeoutMs - (this.clock.now() - since));
    const { failures } = await this.#takeDown(nodes, Math.min(this.limits.stopTimeoutMs, leftMs));
    const all = [...drained, ...failures, ...this.#retiredFailures];
    const error =
      all.length === 0
        ? undefined
        : new StopError(
            stopMessage(all, nodes.length, (name) => this.#heldUpBy(name)),
            all,
          );
    this.#lifecycle.move(["stopping"], "stopped", error);
    if (error !== undefined) throw error;
  }

  /** What had to wait for a resource to stop: everything it needs. */
  #heldUpBy(name: string): string[] {
    const node = this.graph.nodes[this.graph.byName.get(name) ?? -1];
    return node === undefined ? [] : [...neededBy(this.graph, node)].map((needed) => needed.name);
  }
}

/** How long scopes that were aborted may take to end, in ms. */
const ABORTED_SCOPE_GRACE_MS = 1_000;
