import type { Clock } from "@steward/core";
import type { AnyDefinition } from "./graph.ts";
import type { ScopeState } from "./scope.ts";

/** An instance that is handed out for a while. */
interface CachedInstance {
  readonly value: Promise<unknown>;
  readonly since: number;
  users: number;
  /** Called once nobody uses it and nobody will. */
  readonly release: () => Promise<void>;
}

/** Starts an instance; the function it gives stops it. */
export type Instantiate = (
  definition: AnyDefinition,
) => Promise<{ readonly value: unknown; readonly stop: () => Promise<void> }>;

/** Instances of `cached(...)` needs: one start however many ask, and an old one goes after its last user. */
export class CachedInstances {
  readonly #clock: Clock;
  readonly #instantiate: Instantiate;
  readonly #current = new Map<AnyDefinition, Map<number, CachedInstance>>();
  readonly #releasing = new Set<Promise<void>>();

  constructor(clock: Clock, instantiate: Instantiate) {
    this.#clock = clock;
    this.#instantiate = instantiate;
  }

  /** The instance of now; the scope gives it back when it ends. */
  async borrow(definition: AnyDefinition, ttlMs: number, scope: ScopeState): Promise<unknown> {
    const instance = this.#instanceOf(definition, ttlMs);
    instance.users++;
    try {
      const value = await instance.value;
      scope.willExit({
        name: definition.name,
        handler: false,
        generator: undefined,
        value,
        stop: () => this.#giveBack(definition, ttlMs, instance),
      });
      return value;
    } catch (error) {
      this.#forget(definition, ttlMs, instance); // a failed start is not remembered: the next one tries anew
      throw error;
    }
  }

  #instanceOf(definition: AnyDefinition, ttlMs: number): CachedInstance {
    const perTtl = this.#current.get(definition) ?? new Map<number, CachedInstance>();
    this.#current.set(definition, perTtl);
    const known = perTtl.get(ttlMs);
    if (known !== undefined && this.#clock.now() - known.since < ttlMs) return known;
    if (known !== undefined) this.#retire(definition, ttlMs, known);
    const started = this.#instantiate(definition);
    const release = (): Promise<void> =>
      started.then(
        ({ stop }) => stop(),
        () => {},
      );
    const made = { value: started.then(({ value }) => value), since: this.#clock.now(), users: 0, release };
    perTtl.set(ttlMs, made);
    return made;
  }

  async #giveBack(definition: AnyDefinition, ttlMs: number, instance: CachedInstance): Promise<void> {
    instance.users--;
    if (this.#current.get(definition)?.get(ttlMs) !== instance && instance.users === 0) await this.#release(instance);
  }

  #retire(definition: AnyDefinition, ttlMs: number, instance: CachedInstance): void {
    this.#forget(definition, ttlMs, instance);
    if (instance.users === 0) void this.#release(instance).catch(() => {});
  }

  #forget(definition: AnyDefinition, ttlMs: number, instance: CachedInstance): void {
    const perTtl = this.#current.get(definition);
    if (perTtl?.get(ttlMs) === instance) perTtl.delete(ttlMs);
  }

  #release(instance: CachedInstance): Promise<void> {
    const released = instance.release();
    this.#releasing.add(released);
    return released.finally(() => this.#releasing.delete(released));
  }

  /** Releases everything; all scopes have ended by now. */
  async close(): Promise<void> {
    const instances = [...this.#current.values()].flatMap((perTtl) => [...perTtl.values()]);
    this.#current.clear();
    await Promise.allSettled([...instances.map((instance) => this.#release(instance)), ...this.#releasing]);
  }
}
