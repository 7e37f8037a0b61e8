import type { Clock } from "@steward/core";
import { describeError, sharedAbortController, TimeoutReached, withTimeout } from "@steward/core/container";
import type { NodeFailure } from "../errors.ts";
import type { Edge } from "../graph/graph.ts";
import type { LiveNode } from "../lifecycle/live-node.ts";
import type { StoppedNodes } from "../stop/stop.ts";

/** What an attempt asks of the place where nodes start. */
export interface Starter {
  live(index: number): LiveNode | undefined;
  /** Starts a node, unless it is up or being started. It never rejects: failures go to the attempt. */
  begin(index: number, attempt: StartAttempt): Promise<void>;
  /** Starts what an edge leads to. */
  follow(edge: Edge, attempt: StartAttempt): Promise<void>;
  /** What an attempt still waits for. */
  hanging(attempt: StartAttempt): LiveNode[];
  /** An attempt has succeeded: what it wanted is handed over, in the order of the graph. */
  handOver(attempt: StartAttempt): LiveNode[];
  /** An attempt has failed: what no other attempt wants is aborted, and stopped by {@link cleared} if it is up. */
  giveUp(attempt: StartAttempt, reason: unknown): void;
  cleared(): Promise<StoppedNodes>;
}

/** What an attempt is to start: what comes `first` is up before the rest begins. */
export interface Wanted {
  readonly first?: readonly number[];
  readonly indices: readonly number[];
  readonly edges?: readonly Edge[];
}

/** One attempt to start some nodes and all they need, as a whole. */
export class StartAttempt {
  readonly failures: NodeFailure[] = [];
  /** Nodes that ignored their abort and were left behind while still starting. */
  readonly stillStarting: string[] = [];
  readonly #abort = sharedAbortController();
  readonly #places = new Set<Starter>();
  readonly #onEnd: (() => void)[] = [];
  /** One that failed is not tried again by the next that needs it. */
  readonly #tried = new Set<number>();

  /** The signal that its nodes share; `undefined` where each has its own, because another attempt may still want it. */
  readonly shared: AbortSignal | undefined;

  /** @param isWhole True for the start of a whole container: when it fails, no other attempt goes on. */
  constructor({ isWhole = false }: { readonly isWhole?: boolean } = {}) {
    this.shared = isWhole ? this.#abort.signal : undefined;
  }

  get hasFailed(): boolean {
    return this.#abort.signal.aborted;
  }

  hasTried(index: number): boolean {
    return this.#tried.has(index);
  }

  noteTried(index: number, place: Starter): void {
    this.#tried.add(index);
    this.#places.add(place);
  }

  /** The first failure ends all others; options that are wrong too are still collected. */
  fail(failure: NodeFailure): void {
    this.failures.push(failure);
    if (failure.phase === "options") setImmediate(() => this.#abort.abort(failure.cause));
    else this.#abort.abort(failure.cause);
  }

  /** Starts what is asked for and all it needs, within `timeoutMs`. Says whether it succeeded; else see `failures`. */
  async run(
    starts: Starter,
    clock: Clock,
    { first = [], indices, edges = [] }: Wanted,
    timeoutMs: number,
    outer?: AbortSignal,
  ): Promise<boolean> {
    this.#places.add(starts);
    const all = async (): Promise<void> => {
      if (first.length > 0) await Promise.all(first.map((index) => starts.begin(index, this)));
      if (this.failures.length > 0) await new Promise(() => {}); // what failed aborts it
      const begun = indices.map((index) => starts.begin(index, this));
      await Promise.all([...begun, ...edges.map((edge) => starts.follow(edge, this))]);
      if (this.failures.length > 0) await new Promise(() => {}); // what failed aborts it
      const missing = indices.find((index) => starts.live(index) === undefined);
      if (missing !== undefined) throw new Error("a start that it shared with another was given up");
    };
    try {
      await withTimeout(clock, timeoutMs, all, { abort: this.#abort, outer });
      return true;
    } catch (error) {
      if (this.failures.length === 0) this.failures.push(this.#ranOut(error, clock, timeoutMs));
      return false;
    }
  }

  #ranOut(error: unknown, clock: Clock, timeoutMs: number): NodeFailure {
    const hanging = [...this.#places].flatMap((place) => place.hanging(this));
    const names = hanging.map(waitingFor).join(", ");
    const cause =
      error instanceof TimeoutReached
        ? new Error(`the container did not start within ${timeoutMs} ms; waiting for: ${names}`)
        : error;
    const [first] = hanging;
    const durationMs = first === undefined ? 0 : clock.now() - first.since;
    return { resource: first?.name ?? "container", phase: "start", durationMs, cause };
  }

  /** Called for what it alone wanted, once that has ended. */
  noteUnwanted(onEnd: () => void): void {
    this.#onEnd.push(onEnd);
  }

  /** Gives up what it has started and no other attempt wants. */
  async release(): Promise<StoppedNodes> {
    const reason = this.failures[0]?.cause;
    this.#abort.abort(reason);
    const taken: StoppedNodes[] = [];
    for (const place of this.#places) place.giveUp(this, reason);
    for (const place of this.#places) taken.push(await place.cleared()); // what it needs of another place stops after it
    for (const onEnd of this.#onEnd.splice(0)) onEnd();
    return { order: taken.flatMap(({ order }) => order), failures: taken.flatMap(({ failures }) => failures) };
  }

  /** It has succeeded: everything that it wanted, where it was started. */
  handOver(starts: Starter): LiveNode[] {
    return starts.handOver(this);
  }
}

/** A node that did not get ready in time, with why its last attempt failed. */
function waitingFor({ name, manager }: LiveNode): string {
  return manager?.failure === undefined ? name : `${name} (last error: ${describeError(manager.failure)})`;
}
