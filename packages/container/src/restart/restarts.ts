import { isStewardError, type RestartEvent } from "@steward/core";
import { describeError, LazyAbort, TimeoutReached, withTimeout } from "@steward/core/container";
import { firstOf, untilAborted } from "../lifecycle/caller.ts";
import { containerError, type NodeFailure } from "../errors.ts";
import type { Events } from "../lifecycle/events.ts";
import type { LiveNode } from "../lifecycle/live-node.ts";
import { ProcessShare } from "../lifecycle/process-share.ts";
import { Replacement, type Affected, type ReplacementHost, type StagedChange } from "./replacement.ts";
import { RestartClaim } from "./restart-claim.ts";
import { indicesOf } from "../lifecycle/state.ts";
import { Bounds } from "../scope/bounds.ts";
import { inOrder } from "../stop/stop.ts";

/** What restarts need of the container. */
export interface RestartHost extends ReplacementHost {
  readonly dependants: readonly (readonly number[])[];
  readonly events: Events;
  /** Releases what sessions and cached instances hold of these. Gives what failed. */
  releaseHolders(nodes: readonly LiveNode[], bounds: Bounds): Promise<readonly NodeFailure[]>;
}

/**
 * Whether scopes can open: a restart that has to stop the old instance first makes them wait, and when it fails there
 * is none.
 */
type Gate =
  | { readonly name: "open" }
  | { readonly name: "closed"; readonly opened: Promise<void> }
  | { readonly name: "broken"; readonly error: Error; readonly indices: readonly number[] };

/** What is to be restarted: a node, or what a new value of it concerns. */
interface Order {
  readonly index: number;
  readonly change: StagedChange | undefined;
}

/** How far a restart is: a caller that has gone ends it only before it stops or replaces anything. */
interface Progress {
  stage: "waiting" | "stopping" | "in use";
}

/**
 * Replaces instances and all that hold them by new ones, one restart at a time. The new ones start before the old ones
 * stop; if one fails, nothing has changed. What can exist only once (`restart: "stop-first"`) is done in the reverse order:
 * new scopes wait meanwhile.
 */
export class Restarts {
  readonly #host: RestartHost;
  readonly #abort = new LazyAbort();
  readonly #failures: NodeFailure[] = [];
  #last: Promise<unknown> = Promise.resolve();
  #gate: Gate = { name: "open" };
  /** The last that was begun and is not in use. */
  #replacement: Replacement | undefined;
  #claim: RestartClaim | undefined;

  constructor(host: RestartHost) {
    this.#host = host;
  }

  /** Whether scopes can open now. */
  get isOpen(): boolean {
    return this.#gate.name === "open";
  }

  /**
   * A promise to wait for before a scope opens; it rejects while a restart has left nothing to use. Ask again after it:
   * the next restart may have begun.
   */
  get gate(): Promise<void> | undefined {
    return this.isOpen ? undefined : this.#passGate();
  }

  async #passGate(): Promise<void> {
    if (this.#gate.name === "closed") await this.#gate.opened;
    if (this.#gate.name === "broken") throw this.#gate.error;
  }

  /** Instances that failed to stop after a restart; the stop of the container reports them. */
  get failures(): readonly NodeFailure[] {
    return this.#failures;
  }

  /** New instances that are up and not in use yet. */
  get staged(): readonly LiveNode[] {
    return this.#replacement?.staged ?? [];
  }

  /**
   * What a lazy start of a node has to wait for, if anything: something that it needs is being restarted. The answer
   * holds for this moment only, so a start that waited asks again.
   *
   * @throws {RESTART_FAILED} while a restart has left nothing to use of what it needs.
   * @throws {RESOURCE_UNAVAILABLE} when the restart waits for the asker to stop: neither would end.
   */
  claimOn(index: number, asker: number): Promise<void> | undefined {
    const over = this.#claim?.on(index, asker);
    if (over !== undefined) return over;
    if (this.#gate.name === "broken" && this.#reachOf(this.#gate.indices).has(index)) throw this.#gate.error;
    return undefined;
  }

  /**
   * Restarts a node and all that hold it, after the restarts before it. When the caller's signal aborts before the new
   * ones are in use, the restart is given up; after that only the wait for the old ones to stop.
   *
   * @param change What is restarted in its stead, for a new value of the node.
   */
  async restart(index: number, caller: AbortSignal | undefined, change?: StagedChange): Promise<void> {
    const before = this.#last;
    const progress: Progress = { stage: "waiting" };
    const restarted = before.then(() => this.#announced({ index, change }, caller, progress));
    this.#last = restarted.catch(() => {});
    try {
      await untilAborted(restarted, caller);
    } catch (error) {
      if (progress.stage === "in use") return; // only the wait for the old ones was given up
      throw this.#failed(index, error, progress.stage === "stopping" ? "it goes on" : undefined);
    }
  }

  /** Takes no more restarts and aborts the one in progress. */
  close(): void {
    this.#abort.abort(() => containerError("CONTAINER_CLOSED", "the container stops"));
  }

  /** Resolves once no restart is in progress. */
  async settled(): Promise<void> {
    await this.#last;
  }

  async #announced(order: Order, caller: AbortSignal | undefined, progress: Progress): Promise<void> {
    const { clock, events, graph } = this.#host;
    if (order.change !== undefined && this.#holdersOf(order.change.roots).length === 0)
      return this.#restart(order, caller, progress);
    const since = clock.now();
    const announce = (step: RestartEvent["step"], error?: unknown): void => {
      const resource = graph.nodes[order.index]?.name ?? "";
      events.publish("restart", { resource, step, durationMs: clock.now() - since, error });
    };
    announce("began");
    try {
      await this.#restart(order, caller, progress);
    } catch (error) {
      announce("failed", error);
      throw error;
    }
    announce("ended");
  }

  async #restart(order: Order, caller: AbortSignal | undefined, progress: Progress): Promise<void> {
    const { signal, end } = firstOf(this.#abort.signal, caller);
    const before = this.#gate;
    const own = order.change?.roots ?? [order.index];
    const roots = before.name === "broken" ? [...own, ...before.indices] : own;
    let replaced: readonly LiveNode[] = [];
    try {
      signal.throwIfAborted();
      if (before.name === "broken" || this.#holdersOf(roots).some(hasToStopFirst))
        await this.#stopThenStart(order, roots, signal, progress);
      else replaced = await this.#startThenStop(order, roots, signal);
    } catch (error) {
      throw this.#failed(order.index, error);
    } finally {
      end();
    }
    progress.stage = "in use";
    const { signal: stopped } = this.#abort;
    await this.#unused(replaced, stopped)
      .then(() => this.#stopOld(replaced, stopped))
      .catch(() => {}); // the container stops: it takes over
  }

  /** Starts the new instances and puts them in the place of the old ones, which it gives. */
  async #startThenStop({ change }: Order, roots: readonly number[], signal: AbortSignal): Promise<readonly LiveNode[]> {
    const claim = this.#claimed(roots);
    try {
      const nodes = await this.#settled(roots, claim, signal);
      await this.#start({ reach: claim.reach, nodes, change }, signal);
      return nodes;
    } finally {
      this.#released(claim);
    }
  }

  /** Makes scopes wait, waits until none uses the old instances, stops them, and starts the new ones. */
  async #stopThenStart(
    { index, change }: Order,
    roots: readonly number[],
    signal: AbortSignal,
    progress: Progress,
  ): Promise<void> {
    const before = this.#gate;
    let isStopped = before.name === "broken";
    let nodes: readonly LiveNode[] = this.#holdersOf(roots);
    let open: () => void = () => {};
    let claim: RestartClaim | undefined;
    this.#gate = { name: "closed", opened: new Promise((resolve) => (open = resolve)) };
    try {
      await this.#unused(nodes, signal); // scopes that go on may need something lazily, so that is not claimed yet
      claim = this.#claimed(roots);
      nodes = await this.#settled(roots, claim, signal);
      isStopped = true; // from here on it goes on without its caller too
      progress.stage = "stopping";
      claim.stopping(nodes);
      await this.#stopOld(nodes, this.#abort.signal);
      claim.stopping([]);
      this.#abort.signal.throwIfAborted(); // the container may have stopped meanwhile
      await this.#start({ reach: claim.reach, nodes, change }, this.#abort.signal);
      this.#host.state.forget(nodes);
      this.#gate = { name: "open" };
    } catch (cause) {
      const error = this.#failed(index, cause, isStopped ? NONE_LEFT : undefined);
      const indices = nodes.map((node) => node.graph.index);
      this.#gate = isStopped ? { name: "broken", error, indices } : before;
      throw error;
    } finally {
      this.#released(claim);
      open();
    }
  }

  /** Makes lazy starts of what is affected wait until it is released. */
  #claimed(roots: readonly number[]): RestartClaim {
    return (this.#claim = new RestartClaim(this.#host.graph, this.#reachOf(roots)));
  }

  #released(claim: RestartClaim | undefined): void {
    this.#claim = undefined;
    claim?.release();
  }

  /** What the restart replaces, once the lazy starts of it that are in progress have ended. */
  async #settled(roots: readonly number[], claim: RestartClaim, outer: AbortSignal): Promise<readonly LiveNode[]> {
    const { clock, limits, starts } = this.#host;
    const abort = new AbortController();
    let nodes: readonly LiveNode[] = [];
    const settle = (): void => {
      claim.settle();
      nodes = this.#holdersOf(roots);
    };
    await withTimeout(clock, limits.startTimeoutMs, () => starts.settled(claim.reach, settle), { abort, outer }).catch(
      (error: unknown) => {
        if (!(error instanceof TimeoutReached)) throw error;
        throw new Error(`a lazy start of what it affects has not ended within ${limits.startTimeoutMs} ms`);
      },
    );
    refuseShared(nodes);
    return nodes;
  }

  async #start(affected: Affected, signal: AbortSignal): Promise<void> {
    const replacement = new Replacement(this.#host, affected);
    this.#replacement = replacement;
    await replacement.start(signal);
    replacement.use();
    this.#replacement = undefined;
  }

  /** Waits until no scope holds any of these, for at most the drain timeout. Rejects when the signal aborts first. */
  async #unused(nodes: readonly LiveNode[], signal: AbortSignal): Promise<void> {
    const { limits, state } = this.#host;
    await this.#bounded(limits.drainTimeoutMs, (over) => state.released(nodes, over), signal);
  }

  async #stopOld(nodes: readonly LiveNode[], signal: AbortSignal): Promise<void> {
    const { state, dependants } = this.#host;
    const held = await this.#releaseHolders(nodes, signal);
    await inOrder(
      nodes,
      (index) => dependants[index] ?? [],
      async (node) => node.manager?.drain({ signal }).catch(() => {}), // what does not drain is stopped all the same
    );
    const { failures } = await this.#host.takeDown(nodes);
    state.forget(nodes);
    this.#failures.push(...held, ...failures);
    this.#failures.splice(0, this.#failures.length - MOST_FAILURES);
  }

  /**
   * Releases what sessions and cached instances hold. When time is over, what is left of it is begun and not waited for.
   * Where the container stops meanwhile, its stop waits for the rest, within its own time.
   */
  async #releaseHolders(nodes: readonly LiveNode[], signal: AbortSignal): Promise<readonly NodeFailure[]> {
    const { clock, limits } = this.#host;
    const bounds = new Bounds(clock);
    const released = this.#host.releaseHolders(nodes, bounds);
    await this.#bounded(limits.stopTimeoutMs, () => released, signal);
    bounds.hurry(new Error("their time was over"));
    return (await this.#bounded(AT_ONCE_MS, () => released, signal)) ?? [];
  }

  /** Waits for some work, which may take its time; gives `undefined` when it takes longer than it may. */
  async #bounded<T>(
    timeoutMs: number,
    work: (over: AbortSignal) => Promise<T>,
    outer: AbortSignal,
  ): Promise<T | undefined> {
    const abort = new AbortController();
    const options = { abort, outer };
    return withTimeout(this.#host.clock, timeoutMs, () => work(abort.signal), options).catch((error: unknown) => {
      if (error instanceof TimeoutReached) return undefined; // those who hold something had their time
      throw error;
    });
  }

  /** Nodes and all that may come to hold their values; a lazy edge holds none. */
  #reachOf(roots: readonly number[]): Set<number> {
    const { dependants, graph } = this.#host;
    const reach = new Set(roots);
    for (const index of reach)
      for (const dependant of dependants[index] ?? [])
        if (
          graph.nodes[dependant]?.edges.some((edge) => edge.kind !== "lazy" && indicesOf(edge).includes(index)) === true
        )
          reach.add(dependant); // a loop over a set reaches what is added meanwhile
    return reach;
  }

  /** What runs of some nodes and of all that hold their values now: `current` and `lazy` edges hold none. */
  #holdersOf(roots: readonly number[]): LiveNode[] {
    const { state, dependants } = this.#host;
    const found = new Set(roots.flatMap((index) => state.live(index) ?? []));
    for (const node of found)
      for (const index of dependants[node.graph.index] ?? []) {
        const dependant = state.live(index);
        if (dependant?.holds.includes(node) === true) found.add(dependant); // a loop over a set reaches what is added meanwhile
      }
    return [...found];
  }

  /** Whether an earlier restart has left nothing of it. */
  #isGone(index: number): boolean {
    return this.#gate.name === "broken" && this.#gate.indices.includes(index);
  }

  #failed(index: number, cause: unknown, result = this.#isGone(index) ? NONE_LEFT : "the old one stays in use"): Error {
    if (isStewardError(cause, "RESTART_FAILED") || isStewardError(cause, "RESTART_REFUSED")) return cause;
    const name = this.#host.graph.nodes[index]?.name ?? "";
    return containerError("RESTART_FAILED", `"${name}" was not restarted: ${describeError(cause)}; ${result}`, {
      resource: name,
      cause,
      retryable: true,
    });
  }
}

/** Longest wait for what takes no time, in ms: something else may hold it up. */
const AT_ONCE_MS = 1;
const NONE_LEFT = "the old one had to stop first, so there is none until a restart succeeds";
/** Failures that are kept for the report of the stop. */
const MOST_FAILURES = 100;

function hasToStopFirst(node: LiveNode): boolean {
  return node.graph.spec.settings.restart === "stop-first";
}

function refuseShared(nodes: readonly LiveNode[]): void {
  for (const { name, manager } of nodes) {
    const others = manager instanceof ProcessShare ? manager.otherUsers : 0;
    if (others === 0) continue;
    const containers = others === 1 ? "1 other container" : `${others} other containers`;
    throw containerError(
      "RESTART_REFUSED",
      `"${name}" is shared with ${containers} of this process: it can be restarted once no other holds it`,
      { resource: name, retryable: true },
    );
  }
}
