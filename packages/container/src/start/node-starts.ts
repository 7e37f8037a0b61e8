import type { Clock } from "@steward/core";
import {
  type CallDefaults,
  type ManagedResource,
  OptionsError,
  sharedAbortController,
  type ValueChange,
} from "@steward/core/container";
import type { BackgroundEnd } from "../lifecycle/background.ts";
import { untilAborted } from "../lifecycle/caller.ts";
import type { NodeFailure } from "../errors.ts";
import type { Edge, Graph, GraphNode } from "../graph/graph.ts";
import { isEnabled, LiveNode, makeManager } from "../lifecycle/live-node.ts";
import { shareKey } from "../graph/share-key.ts";
import type { StartAttempt, Starter } from "./start-attempt.ts";
import { retryStart } from "./start-retry.ts";
import { chosen, heldThrough, holderOf, needsOf, type NodeSource } from "../lifecycle/state.ts";
import type { Limits } from "../stop/stop-budget.ts";
import type { StoppedNodes } from "../stop/stop.ts";

/** A new value for a node, and the manager that has it: another one may look after the node by now. */
export interface ChangeOrder {
  readonly index: number;
  readonly manager: ManagedResource;
  readonly change: ValueChange;
  /** Aborts when the change is not wanted any more. */
  readonly signal: AbortSignal;
}

/** What starting nodes takes from the container. */
export interface StartHost {
  readonly graph: Graph;
  readonly clock: Clock;
  readonly limits: Limits;
  /** What the calls of its resources do where they do not say otherwise. */
  readonly defaults: CallDefaults;
  readonly onBackgroundEnd: (end: BackgroundEnd) => void;
  /** Called for an optional resource that did not start, so that it is tried again. */
  onDown(node: LiveNode): void;
  /** Carries out a change of the value of a node, with all that it concerns. */
  changeValue(order: ChangeOrder): Promise<void>;
  /** Stops nodes that are not wanted after all. */
  takeDown(nodes: readonly LiveNode[]): Promise<StoppedNodes>;
}

/** Where starts belong: what is live already, and what a lazy edge of a node that starts here does. */
export interface StartPlace extends Pick<NodeSource, "live" | "lazily" | "next"> {
  /** Starts of nodes that belong elsewhere; `undefined` for one that belongs here. */
  elsewhere(index: number): NodeStarts | undefined;
  /** True for a restart: what the containers of the process share is made anew. */
  readonly isRestart: boolean;
}

/** One start of one node, and for whom. */
class Entry {
  readonly node: GraphNode;
  /** Aborts when it is given up. */
  readonly signal: AbortSignal;
  #abort: AbortController | undefined;
  readonly attempts = new Set<StartAttempt>();
  stage: "starting" | "up" | "ended" = "starting";
  since = 0;
  live: LiveNode | undefined;
  done: Promise<void> = Promise.resolve();
  #over: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  #hasEnded = false;
  /** Set while it waits for what it needs. */
  #wake: (() => void) | undefined;

  /** @param shared The signal of the attempt it is for, where nothing outlives that one. */
  constructor(node: GraphNode, shared: AbortSignal | undefined) {
    this.node = node;
    if (shared !== undefined) this.signal = shared;
    else {
      this.#abort = sharedAbortController();
      this.signal = this.#abort.signal;
    }
  }

  /** Resolves once its attempts are over, and nothing is left of it where they failed. Made when it is asked for. */
  get over(): Promise<void> {
    if (this.#hasEnded) return Promise.resolve();
    if (this.#over === undefined) {
      let resolve: () => void = () => {};
      this.#over = { promise: new Promise((done) => (resolve = done)), resolve: () => resolve() };
    }
    return this.#over.promise;
  }

  end(): void {
    this.#hasEnded = true;
    this.#over?.resolve();
  }

  /** Waits for what it needs, until it is given up. */
  waitFor(needed: readonly Promise<unknown>[]): Promise<void> {
    return new Promise((resolve) => {
      let left = needed.length;
      const oneIsReady = (): void => {
        if (--left === 0) resolve();
      };
      this.#wake = resolve;
      for (const ready of needed) ready.then(oneIsReady, oneIsReady);
    });
  }

  giveUp(reason: unknown): void {
    this.#abort?.abort(reason);
    this.#wake?.();
  }

  fail(failure: NodeFailure): void {
    this.stage = "ended";
    for (const attempt of this.attempts) attempt.fail(failure);
  }
}

/**
 * Starts of nodes: each as soon as what it needs is up, and each once however many attempts want it. What is up stays
 * here until its attempt has succeeded as a whole; what no attempt wants any more is stopped.
 */
export class NodeStarts implements NodeSource, Starter {
  readonly #host: StartHost;
  readonly #place: StartPlace;
  readonly #entries = new Map<number, Entry>();
  /** What no attempt wants any more and has not been stopped yet. */
  readonly #unwanted = new Set<Entry>();
  #clearing: Promise<StoppedNodes> | undefined;

  constructor(host: StartHost, place: StartPlace) {
    this.#host = host;
    this.#place = place;
  }

  live(index: number): LiveNode | undefined {
    const entry = this.#entries.get(index);
    return entry?.stage === "up" ? entry.live : this.#place.live(index);
  }

  next(index: number): { readonly value: unknown } | undefined {
    return this.#place.next?.(index);
  }

  holder(index: number): { readonly current: unknown } {
    const next = (): { readonly value: unknown } | undefined => this.next(index);
    return holderOf(this.#host.graph, (i) => this.live(i), index, next);
  }

  /** A start that was given up waits for nothing any more: what it waits for may wait for its end. */
  lazily(index: number, asker: number): Promise<unknown> {
    const entry = this.#entries.get(asker);
    const started = this.#place.lazily(index, asker);
    return untilAborted(started, entry?.stage === "starting" ? entry.signal : undefined);
  }

  /** Whether a node is being started. */
  isStarting(index: number): boolean {
    return this.#entries.get(index)?.stage === "starting";
  }

  /** Waits until no attempt is in progress for any of these nodes, and calls `settle` before another can begin. */
  async settled(indices: Iterable<number>, settle: () => void): Promise<void> {
    const wanted = [...indices];
    for (;;) {
      const busy = wanted.flatMap((index) => this.#entries.get(index)?.over ?? []);
      if (busy.length === 0) return settle();
      await Promise.all(busy);
    }
  }

  /** Names of what is being started. */
  get names(): string[] {
    return [...this.#entries.values()].flatMap((entry) => (entry.stage === "starting" ? [entry.node.name] : []));
  }

  /** What is being started, waits to be tried again, or is up and waits for the rest of its attempt. */
  get inFlight(): LiveNode[] {
    return [...this.#entries.values()].flatMap((entry) => (entry.stage === "ended" ? [] : (entry.live ?? [])));
  }

  /** What is up here and not handed over: a stop that cannot wait stops it with the rest. */
  get staged(): LiveNode[] {
    return [...this.#entries.values()].flatMap((entry) => (entry.stage === "starting" ? [] : (entry.live ?? [])));
  }

  #remove(entry: Entry): void {
    if (this.#entries.get(entry.node.index) === entry) this.#entries.delete(entry.node.index);
    entry.end();
  }

  hanging(attempt: StartAttempt): LiveNode[] {
    return this.#of(attempt).flatMap((entry) => (entry.stage === "starting" ? (entry.live ?? []) : []));
  }

  #of(attempt: StartAttempt): Entry[] {
    return [...this.#entries.values()].filter((entry) => entry.attempts.has(attempt));
  }

  handOver(attempt: StartAttempt): LiveNode[] {
    const entries = this.#of(attempt).filter((entry) => entry.stage === "up");
    for (const entry of entries) this.#remove(entry);
    return entries.flatMap((entry) => entry.live ?? []).sort((a, b) => a.graph.index - b.graph.index);
  }

  /** What one attempt wanted, another wants from here on. */
  pass(attempt: StartAttempt, to: StartAttempt): void {
    for (const entry of this.#of(attempt)) {
      entry.attempts.delete(attempt);
      entry.attempts.add(to);
    }
  }

  giveUp(attempt: StartAttempt, reason: unknown): void {
    for (const entry of this.#of(attempt)) {
      entry.attempts.delete(attempt);
      if (entry.attempts.size > 0) continue;
      this.#unwanted.add(entry);
      entry.giveUp(reason);
      attempt.noteUnwanted(() => {
        if (entry.live?.manager?.startAbandoned === true) attempt.stillStarting.push(entry.node.name);
      });
    }
  }

  /** Stops what no attempt wants any more, that of several attempts together and so in order. */
  cleared(): Promise<StoppedNodes> {
    if (this.#unwanted.size === 0 && this.#clearing === undefined) return Promise.resolve({ order: [], failures: [] });
    return (this.#clearing ??= this.#clear());
  }

  async #clear(): Promise<StoppedNodes> {
    const order: string[] = [];
    const failures: NodeFailure[] = [];
    while (this.#unwanted.size > 0) {
      for (const entry of this.#unwanted) await entry.done; // a loop over a set reaches what is added meanwhile
      const entries = [...this.#unwanted];
      const nodes = entries.flatMap((entry) => (entry.stage === "up" ? (entry.live ?? []) : []));
      this.#unwanted.clear();
      for (const entry of entries) entry.stage = "ended";
      const taken = await this.#host.takeDown(nodes);
      order.push(...taken.order);
      failures.push(...taken.failures);
      for (const entry of entries) this.#remove(entry);
    }
    this.#clearing = undefined;
    return { order, failures };
  }

  begin(index: number, attempt: StartAttempt): Promise<void> {
    if (attempt.hasFailed) return Promise.resolve();
    const elsewhere = this.#place.elsewhere(index);
    if (elsewhere !== undefined) return elsewhere.begin(index, attempt);
    const known = this.#entries.get(index);
    if (known !== undefined && known.stage !== "ended" && known.attempts.size > 0) return this.#share(known, attempt);
    const node = this.#host.graph.nodes[index];
    if (node === undefined || attempt.hasTried(index) || this.#place.live(index) !== undefined)
      return Promise.resolve();
    attempt.noteTried(index, this);
    const entry = new Entry(node, attempt.shared);
    entry.attempts.add(attempt);
    this.#entries.set(index, entry);
    entry.done = this.#start(entry, attempt, known?.attempts.size === 0 ? known.over : undefined);
    return entry.done;
  }

  /** One more attempt wants what is up or being started, and so all that it needs. */
  #share(entry: Entry, attempt: StartAttempt): Promise<void> {
    if (attempt.hasFailed || entry.attempts.has(attempt)) return entry.done;
    entry.attempts.add(attempt);
    attempt.noteTried(entry.node.index, this);
    for (const edge of entry.node.edges) void this.follow(edge, attempt);
    return entry.done;
  }

  follow(edge: Edge, attempt: StartAttempt): Promise<void> {
    if (edge.kind === "lazy") return Promise.resolve();
    if (edge.kind !== "when") return this.begin(edge.to, attempt);
    return this.begin(edge.condition, attempt).then(() =>
      attempt.hasFailed ? undefined : this.follow(chosen(this, edge), attempt),
    );
  }

  /** Whether something else failed to start what this edge needs. */
  #isMissing(edge: Edge): boolean {
    if (edge.kind === "lazy") return false;
    return edge.kind === "when" ? this.#isMissing(chosen(this, edge)) : this.live(edge.to) === undefined;
  }

  async #start(entry: Entry, attempt: StartAttempt, before: Promise<unknown> | undefined): Promise<void> {
    const { node } = entry;
    // One that is aborted waits for nothing: what it waits for may be stopped only after it has ended.
    if (before !== undefined) await entry.waitFor([before]); // an earlier start of it was given up, and is not over yet
    const needed = entry.signal.aborted ? [] : node.edges.map((edge) => this.follow(edge, attempt));
    if (needed.length > 0) await entry.waitFor(needed);
    if (entry.signal.aborted || node.edges.some((edge) => this.#isMissing(edge))) return this.#giveUp(entry);
    entry.since = this.#host.clock.now();
    const made = this.#make(entry);
    if (made === undefined) return;
    const { live, derived } = made;
    entry.live = live;
    if (derived) await new Promise((resolve) => setImmediate(resolve)); // all options that can be checked now are, before anything connects
    if (entry.signal.aborted) return this.#giveUp(entry);
    try {
      await live.manager?.start({ signal: entry.signal });
    } catch (error) {
      if (!(await this.#triedAgain(entry, live, error))) return this.#giveUp(entry);
    }
    live.startedInMs = this.#host.clock.now() - live.since;
    entry.stage = "up";
  }

  #giveUp(entry: Entry): void {
    entry.stage = "ended";
  }

  #make(entry: Entry): { readonly live: LiveNode; readonly derived: boolean } | undefined {
    const { node, since } = entry;
    const { graph, clock, defaults, onBackgroundEnd } = this.#host;
    if (node.constant !== undefined || node.spec.enabled === false)
      return {
        live: new LiveNode(node, undefined, { disabled: node.constant === undefined, since, holds: [] }),
        derived: false,
      };
    try {
      const holds = node.edges.flatMap((edge) => heldThrough(this, edge));
      const needs = needsOf(graph, this, node);
      if (!isEnabled(node.spec, needs))
        return { live: new LiveNode(node, undefined, { disabled: true, since, holds }), derived: false };
      const prepared = node.spec.managed?.prepare(needs, defaults);
      const context = { clock, name: node.name, defaults, onBackgroundEnd };
      const share = { key: () => shareKey(this, node, this.#host), anew: this.#place.isRestart };
      const isOwn = graph.indexOfResolved(node.definition) !== node.index; // of one edge alone
      const manager = makeManager(node.spec, needs, prepared, context, isOwn ? undefined : share);
      manager.changeThrough?.((change, signal) =>
        this.#host.changeValue({ index: node.index, manager, change, signal }),
      );
      return {
        live: new LiveNode(node, manager, { disabled: false, since, holds }),
        derived: node.spec.managed !== undefined && node.edges.length > 0,
      };
    } catch (cause) {
      const phase = cause instanceof OptionsError ? "options" : "start";
      entry.fail({ resource: node.name, phase, durationMs: clock.now() - since, cause });
      return undefined;
    }
  }

  /** Tries a start again that has failed. Says whether the node counts as started. */
  async #triedAgain(entry: Entry, live: LiveNode, error: unknown): Promise<boolean> {
    const { clock } = this.#host;
    const { attempts, failure } = await retryStart(live, { clock, signal: entry.signal, error });
    if (failure === undefined) return true;
    if (entry.signal.aborted) return false;
    if (live.graph.spec.settings.criticality === "optional") {
      this.#host.onDown(live);
      return true;
    }
    entry.fail({
      resource: live.name,
      phase: "start",
      durationMs: clock.now() - live.since,
      attempts: attempts === 1 ? undefined : attempts,
      cause: failure.error,
    });
    return false;
  }
}
