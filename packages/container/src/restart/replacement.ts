import type { Clock } from "@steward/core";
import { sharedAbortController } from "@steward/core/container";
import { NodeStarts, type StartHost, type StartPlace } from "../start/node-starts.ts";
import { firstOf, untilAborted } from "../lifecycle/caller.ts";
import type { LiveNode } from "../lifecycle/live-node.ts";
import { StartAttempt } from "../start/start-attempt.ts";
import { NOTHING_YET, startError } from "../start/start-error.ts";
import type { ContainerState } from "../lifecycle/state.ts";

/** What a replacement needs of the container. */
export interface ReplacementHost extends StartHost {
  readonly clock: Clock;
  readonly state: ContainerState;
  /** The starts of what is not affected. */
  readonly starts: NodeStarts;
}

/** What a restart is about. */
export interface Affected {
  /** The node and all that may come to hold its value: lazy starts of these wait. */
  readonly reach: ReadonlySet<number>;
  /** What is replaced: what runs and holds it. */
  readonly nodes: readonly LiveNode[];
  /** The new value for whose sake they are replaced. */
  readonly change?: StagedChange | undefined;
}

/** A new value of a node that stays as it is. */
export interface StagedChange {
  /** What is made anew for it. */
  readonly roots: readonly number[];
  /** The value that these start with. */
  readonly next?: { readonly index: number; readonly value: unknown };
  /** Called in the tick in which they come in use. */
  readonly commit: () => void;
}

/** The new instances of a restart, started beside the old ones until they take their place together. */
export class Replacement implements StartPlace {
  readonly isRestart = true;
  readonly #host: ReplacementHost;
  readonly #affected: Affected;
  readonly #replaced: ReadonlySet<number>;
  readonly #starts: NodeStarts;
  readonly #attempt = new StartAttempt();
  readonly #abort = sharedAbortController();
  /** Lazy starts by nodes that are themselves being started here. */
  readonly #nested = new Set<Promise<unknown>>();
  #isInUse = false;

  constructor(host: ReplacementHost, affected: Affected) {
    this.#host = host;
    this.#affected = affected;
    this.#replaced = new Set(affected.nodes.map((node) => node.graph.index));
    this.#starts = new NodeStarts(host, this);
  }

  /** New instances that are up and not in use yet. */
  get staged(): LiveNode[] {
    return this.#starts.staged;
  }

  live(index: number): LiveNode | undefined {
    return !this.#isInUse && this.#replaced.has(index) ? undefined : this.#host.starts.live(index);
  }

  next(index: number): { readonly value: unknown } | undefined {
    const next = this.#affected.change?.next;
    return !this.#isInUse && next?.index === index ? next : undefined;
  }

  elsewhere(index: number): NodeStarts | undefined {
    return this.#affected.reach.has(index) ? undefined : this.#host.starts;
  }

  lazily(index: number, asker: number): Promise<unknown> {
    if (this.#isInUse || !this.#affected.reach.has(index)) return this.#host.starts.lazily(index, asker);
    const nested = this.#startNested(index);
    this.#track(nested);
    return nested;
  }

  #track(work: Promise<unknown>): void {
    const settled = work.catch(() => {}).finally(() => this.#nested.delete(settled));
    this.#nested.add(settled);
  }

  async #startNested(index: number): Promise<unknown> {
    const { clock, state, limits, starts } = this.#host;
    const live = this.#starts.live(index);
    if (live !== undefined) return live.value;
    const attempt = new StartAttempt();
    const succeeded = await attempt.run(
      this.#starts,
      clock,
      { indices: [index] },
      limits.startTimeoutMs,
      this.#abort.signal,
    );
    if (!succeeded || this.#abort.signal.aborted) {
      this.#track(attempt.release()); // it waits for the asker
      throw succeeded ? this.#abort.signal.reason : startError(attempt, NOTHING_YET);
    }
    state.publish(attempt.handOver(starts));
    this.#starts.pass(attempt, this.#attempt);
    return this.#starts.live(index)?.value;
  }

  /**
   * Starts the new instances.
   * @throws What the first of them failed with; then none is left.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { clock, limits } = this.#host;
    const either = firstOf(this.#abort.signal, signal);
    try {
      const indices = [...this.#replaced];
      const succeeded = await this.#attempt.run(this.#starts, clock, { indices }, limits.startTimeoutMs, either.signal);
      if (!succeeded) throw this.#attempt.failures[0]?.cause;
      await untilAborted(this.#nestedEnded(), signal);
      signal.throwIfAborted();
    } catch (error) {
      this.#abort.abort(error);
      await this.#attempt.release();
      await this.#nestedEnded();
      throw error;
    } finally {
      either.end();
    }
  }

  async #nestedEnded(): Promise<void> {
    while (this.#nested.size > 0) await Promise.all(this.#nested);
  }

  /** Puts the new instances in the place of the old ones. */
  use(): void {
    const { state, starts } = this.#host;
    state.publish(this.#attempt.handOver(starts));
    const next = new Map<number, LiveNode | undefined>([...this.#replaced].map((index) => [index, undefined]));
    for (const node of this.#attempt.handOver(this.#starts)) next.set(node.graph.index, node);
    this.#isInUse = true;
    this.#affected.change?.commit();
    state.replace(next);
  }
}
