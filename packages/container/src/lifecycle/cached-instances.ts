import type { Binding, Clock, Timer } from "@steward/core";
import { containerError } from "../errors.ts";
import type { AnyDefinition } from "../graph/graph.ts";
import type { Held } from "../graph/held-nodes.ts";
import type { Instance } from "./detached-instance.ts";
import type { LiveNode } from "./live-node.ts";
import type { Generation } from "./state.ts";
import type { CachedDemand } from "../scope/plan.ts";
import type { ValueHolder } from "../scope/value-holder.ts";

/** What cached instances need of the container. */
export interface CachedHost {
  readonly clock: Clock;
  /** Starts an instance from what a generation holds, and from the value of an input that is its own. */
  makeInstance(definition: AnyDefinition, generation: Generation, own?: Binding): Promise<Instance>;
  /** What a value is made from that is made now, in a generation. */
  heldBy(definition: AnyDefinition, generation: Generation): Held;
}

/** An instance that is handed out for a while. */
interface CachedInstance {
  readonly demand: CachedDemand;
  readonly held: Held;
  readonly expiresAt: number;
  readonly started: Promise<Instance>;
  users: number;
  /** Set once it is being stopped. */
  stopped: Promise<void> | undefined;
}

/** Instances of a definition by their keys, `undefined` for those without. What was used last stands last. */
type ByKey = Map<unknown, readonly CachedInstance[]>;

/** Instances of `cached(...)` needs: one start however many ask, and an old one goes after its last user. */
export class CachedInstances {
  readonly #host: CachedHost;
  /** Those that are handed out. */
  readonly #current = new Map<AnyDefinition, ByKey>();
  /** All that have not stopped: also those that are no longer handed out and still have a user. */
  readonly #alive = new Set<CachedInstance>();
  #timer: { readonly timer: Timer; readonly at: number } | undefined;

  constructor(host: CachedHost) {
    this.#host = host;
  }

  /**
   * The instance for a holder, which gives it back when it ends.
   * @throws {CACHED_LIMIT} when as many as there may be by their keys all have a user.
   */
  async use(demand: CachedDemand, holder: ValueHolder): Promise<unknown> {
    const instance = this.#find(demand, holder.generation) ?? this.#add(demand, holder.generation);
    instance.users++;
    try {
      const { value } = await instance.started;
      const stop = (): Promise<void> => this.#giveBack(instance);
      holder.willCleanUp({ definition: demand.definition, handler: false, generator: undefined, value, stop });
      return value;
    } catch (error) {
      this.#withdraw(instance); // a failed start is not remembered: the next one tries anew
      this.#alive.delete(instance);
      throw error;
    }
  }

  #find(demand: CachedDemand, generation: Generation): CachedInstance | undefined {
    const byKey = this.#current.get(demand.definition);
    const known = byKey?.get(keyOf(demand));
    if (byKey === undefined || known === undefined) return undefined;
    const now = this.#host.clock.now();
    const held = this.#host.heldBy(demand.definition, generation);
    const found = known.find(
      (one) => one.demand.ttlMs === demand.ttlMs && now < one.expiresAt && one.held.isSame(held),
    );
    if (found !== undefined && demand.keyed !== undefined) {
      byKey.delete(keyOf(demand));
      byKey.set(keyOf(demand), known);
    }
    return found;
  }

  #add(demand: CachedDemand, generation: Generation): CachedInstance {
    this.#retireExpired();
    if (demand.keyed !== undefined) this.#makeRoom(demand, demand.keyed.max);
    const { definition, ttlMs } = demand;
    const held = this.#host.heldBy(definition, generation);
    const started = this.#host.makeInstance(definition, generation, demand.keyed?.binding);
    const expiresAt = this.#host.clock.now() + ttlMs;
    const instance = { demand, held, expiresAt, started, users: 0, stopped: undefined };
    const byKey: ByKey = this.#current.get(definition) ?? new Map<unknown, readonly CachedInstance[]>();
    this.#current.set(definition, byKey.set(keyOf(demand), [...(byKey.get(keyOf(demand)) ?? []), instance]));
    this.#alive.add(instance);
    this.#arm(expiresAt);
    return instance;
  }

  /** Stops the one with a key that was used longest ago and has no user, where there are as many as there may be. */
  #makeRoom({ definition }: CachedDemand, max: number): void {
    const isOne = ({ demand, stopped }: CachedInstance): boolean =>
      demand.definition === definition && demand.keyed !== undefined && stopped === undefined;
    if ([...this.#alive].filter(isOne).length < max) return;
    const unused = this.#currentOf(definition).find((one) => isOne(one) && one.users === 0);
    if (unused === undefined) throw tooMany(definition.name, max);
    this.#withdraw(unused);
    this.#stopUnasked(unused);
  }

  #currentOf(definition: AnyDefinition): CachedInstance[] {
    return [...(this.#current.get(definition)?.values() ?? [])].flat();
  }

  async #giveBack(instance: CachedInstance): Promise<void> {
    instance.users--;
    const { demand } = instance;
    const isCurrent = this.#current.get(demand.definition)?.get(keyOf(demand))?.includes(instance) === true;
    if (!isCurrent && instance.users === 0) await this.#stop(instance);
  }

  /** Hands it out no more. */
  #withdraw(instance: CachedInstance): void {
    const { demand } = instance;
    const byKey = this.#current.get(demand.definition);
    const rest = (byKey?.get(keyOf(demand)) ?? []).filter((one) => one !== instance);
    if (rest.length > 0) byKey?.set(keyOf(demand), rest);
    else byKey?.delete(keyOf(demand));
    if (byKey?.size === 0) this.#current.delete(demand.definition);
  }

  #retireExpired(): void {
    const now = this.#host.clock.now();
    for (const instance of this.#allCurrent) {
      if (now < instance.expiresAt) continue;
      this.#withdraw(instance);
      if (instance.users === 0) this.#stopUnasked(instance);
    }
  }

  get #allCurrent(): CachedInstance[] {
    return [...this.#current.keys()].flatMap((definition) => this.#currentOf(definition));
  }

  /** One timer for all: what is not asked for again ends at its time too. */
  #arm(at: number): void {
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    this.#timer?.timer.cancel();
    const sweep = (): void => {
      this.#timer = undefined;
      this.#retireExpired();
      const next = Math.min(...this.#allCurrent.map((instance) => instance.expiresAt));
      if (Number.isFinite(next)) this.#arm(next);
    };
    const timer = this.#host.clock.setTimeout(sweep, Math.max(0, at - this.#host.clock.now()), { unref: true });
    this.#timer = { timer, at };
  }

  /** No caller waits for it, so what fails in it is lost. */
  #stopUnasked(instance: CachedInstance): void {
    void this.#stop(instance).catch(() => {});
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

  /** Stops those that hold any of these instances; the next that asks gets a new one. Gives what failed. */
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

function keyOf({ keyed }: CachedDemand): unknown {
  return keyed?.binding.value;
}

function tooMany(name: string, max: number): Error {
  const message = `all ${max} cached instances of "${name}" have a user: raise max of cached(${name}, ...), or hold them for a shorter time`;
  return containerError("CACHED_LIMIT", message, { resource: name, retryable: true });
}
