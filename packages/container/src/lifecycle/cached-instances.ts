import type { Clock, Timer } from "@steward/core";
import type { AnyDefinition } from "../graph/graph.ts";
import type { Held } from "../graph/held-nodes.ts";
import type { Instance } from "./detached-instance.ts";
import type { LiveNode } from "./live-node.ts";
import type { Generation } from "./state.ts";
import type { ValueHolder } from "../scope/value-holder.ts";

/** What cached instances need of the container. */
export interface CachedHost {
  readonly clock: Clock;
  /** Starts an instance from what a generation holds. */
  makeInstance(definition: AnyDefinition, generation: Generation): Promise<Instance>;
  /** What a value is made from that is made now, in a generation. */
  heldBy(definition: AnyDefinition, generation: Generation): Held;
}

/** An instance that is handed out for a while. */
interface CachedInstance {
  readonly definition: AnyDefinition;
  readonly held: Held;
  readonly ttlMs: number;
  readonly expiresAt: number;
  readonly started: Promise<Instance>;
  users: number;
  /** Set once it is being stopped. */
  stopped: Promise<void> | undefined;
}

/** Instances of `cached(...)` needs: one start however many ask, and an old one goes after its last user. */
export class CachedInstances {
  readonly #host: CachedHost;
  /** Those that are handed out, by definition. */
  readonly #current = new Map<AnyDefinition, CachedInstance[]>();
  /** All that have not stopped: also those that are no longer handed out and still have a user. */
  readonly #alive = new Set<CachedInstance>();
  #timer: { readonly timer: Timer; readonly at: number } | undefined;

  constructor(host: CachedHost) {
    this.#host = host;
  }

  /** The instance for a holder, which gives it back when it ends. */
  async use(definition: AnyDefinition, ttlMs: number, holder: ValueHolder): Promise<unknown> {
    const instance =
      this.#find(definition, ttlMs, holder.generation) ?? this.#add(definition, ttlMs, holder.generation);
    instance.users++;
    try {
      const { value } = await instance.started;
      const stop = (): Promise<void> => this.#giveBack(instance);
      holder.willCleanUp({ definition, handler: false, generator: undefined, value, stop });
      return value;
    } catch (error) {
      this.#withdraw(instance); // a failed start is not remembered: the next one tries anew
      this.#alive.delete(instance);
      throw error;
    }
  }

  #find(definition: AnyDefinition, ttlMs: number, generation: Generation): CachedInstance | undefined {
    const known = this.#current.get(definition);
    if (known === undefined) return undefined;
    const now = this.#host.clock.now();
    const held = this.#host.heldBy(definition, generation);
    return known.find((one) => one.ttlMs === ttlMs && now < one.expiresAt && one.held.isSame(held));
  }

  #add(definition: AnyDefinition, ttlMs: number, generation: Generation): CachedInstance {
    this.#retireExpired();
    const held = this.#host.heldBy(definition, generation);
    const started = this.#host.makeInstance(definition, generation);
    const expiresAt = this.#host.clock.now() + ttlMs;
    const instance = { definition, held, ttlMs, expiresAt, started, users: 0, stopped: undefined };
    this.#current.set(definition, [...(this.#current.get(definition) ?? []), instance]);
    this.#alive.add(instance);
    this.#arm(expiresAt);
    return instance;
  }

  async #giveBack(instance: CachedInstance): Promise<void> {
    instance.users--;
    const isCurrent = this.#current.get(instance.definition)?.includes(instance) === true;
    if (!isCurrent && instance.users === 0) await this.#stop(instance);
  }

  /** Hands it out no more. */
  #withdraw(instance: CachedInstance): void {
    const left = (this.#current.get(instance.definition) ?? []).filter((one) => one !== instance);
    if (left.length === 0) this.#current.delete(instance.definition);
    else this.#current.set(instance.definition, left);
  }

  #retireExpired(): void {
    const now = this.#host.clock.now();
    for (const instance of [...this.#current.values()].flat()) {
      if (now < instance.expiresAt) continue;
      this.#withdraw(instance);
      if (instance.users === 0) void this.#stop(instance).catch(() => {});
    }
  }

  /** One timer for all: what nobody asks for again ends at its time too. */
  #arm(at: number): void {
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    this.#timer?.timer.cancel();
    const sweep = (): void => {
      this.#timer = undefined;
      this.#retireExpired();
      const next = Math.min(...[...this.#current.values()].flat().map((instance) => instance.expiresAt));
      if (Number.isFinite(next)) this.#arm(next);
    };
    const timer = this.#host.clock.setTimeout(sweep, Math.max(0, at - this.#host.clock.now()), { unref: true });
    this.#timer = { timer, at };
  }

  #stop(instance: CachedInstance): Promise<void> {
    instance.stopped ??= instance.started
      .then(
        ({ stop }) => stop(),
        () => {}, // it never started
      )
      .finally(() => this.#alive.delete(instance));
    return instance.stopped;
  }

  /** Stops those that hold any of these instances; whoever asks next gets a new one. Gives what failed. */
  async release(nodes: readonly LiveNode[]): Promise<unknown[]> {
    return this.#stopAll([...this.#alive].filter(({ held }) => held.hasAny(nodes)));
  }

  /** Stops everything, also what still has a user. Gives what failed. */
  async close(): Promise<unknown[]> {
    this.#timer?.timer.cancel();
    this.#timer = undefined;
    return this.#stopAll([...this.#alive]);
  }

  async #stopAll(instances: readonly CachedInstance[]): Promise<unknown[]> {
    for (const instance of instances) this.#withdraw(instance);
    const settled = await Promise.allSettled(instances.map((instance) => this.#stop(instance)));
    return settled.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
  }
}
