import type { Binding } from "@steward/core";
import type { ContainerState } from "../lifecycle/state.ts";
import { ScopeState, type ScopeHost, type ScopeRegister } from "./scope.ts";
import type { SessionSource } from "./value-holder.ts";

/** What opening scopes needs of the container. */
export interface OpenScopesHost extends ScopeHost {
  readonly state: ContainerState;
  readonly restarts: {
    /** Whether no restart keeps scopes out. */
    readonly isOpen: boolean;
    /** What to wait for before a scope opens. */
    readonly gate: Promise<void> | undefined;
  };
  /** Why no scope can open now, or `undefined`. */
  refusal(): Error | undefined;
}

/** Opens scopes, and knows those that are open. A list through the scopes themselves, because adding to it is part of every request. */
export class OpenScopes implements ScopeRegister {
  readonly #host: OpenScopesHost;
  #size = 0;
  #first: ScopeState | undefined;
  #onEmpty: (() => void)[] = [];

  constructor(host: OpenScopesHost) {
    this.#host = host;
  }

  get size(): number {
    return this.#size;
  }

  /** Opens a scope. The caller has looked at `refusal`, and has waited for the gate of restarts. */
  open(inputs: readonly Binding[] | undefined, session: SessionSource | undefined): ScopeState {
    return this.#add(new ScopeState(this.#host, this.#host.state.pin(), inputs, session));
  }

  /**
   * Opens a scope once no restart keeps scopes out.
   *
   * @throws {CONTAINER_CLOSED} when the container stops.
   * @throws {RESTART_FAILED} while a restart has left nothing to use.
   */
  async openLater(): Promise<ScopeState> {
    const { restarts } = this.#host;
    for (let { gate } = restarts; gate !== undefined; gate = restarts.gate) await gate;
    const refusal = this.#host.refusal();
    if (refusal !== undefined) throw refusal;
    return this.open(undefined, undefined);
  }

  /** Opens a scope for a caller that does not wait: while a restart keeps scopes out, it holds nothing yet. */
  openAtOnce(inputs: readonly Binding[] | undefined, session: SessionSource | undefined): ScopeState {
    const { restarts, state } = this.#host;
    if (restarts.isOpen) return this.open(inputs, session);
    const scope = new ScopeState(this.#host, state.pinNothing(), inputs, session);
    scope.waits = true;
    return this.#add(scope);
  }

  async enter(scope: ScopeState): Promise<void> {
    const { restarts, state } = this.#host;
    for (let { gate } = restarts; gate !== undefined; gate = restarts.gate) await gate;
    if (!scope.waits || !scope.isOpen) return;
    scope.waits = false;
    scope.generation = state.pin();
  }

  #add(scope: ScopeState): ScopeState {
    scope.after = this.#first;
    if (this.#first !== undefined) this.#first.before = scope;
    this.#first = scope;
    this.#size++;
    return scope;
  }

  closed(scope: ScopeState): void {
    if (scope.before === undefined) this.#first = scope.after;
    else scope.before.after = scope.after;
    if (scope.after !== undefined) scope.after.before = scope.before;
    if (--this.#size === 0 && this.#onEmpty.length > 0) for (const wake of this.#onEmpty.splice(0)) wake();
    this.#host.state.unpin(scope.generation);
  }

  *[Symbol.iterator](): Iterator<ScopeState> {
    for (let scope = this.#first; scope !== undefined; scope = scope.after) yield scope;
  }

  /** Resolves once none is open; `false` when the signal aborts first. */
  async ended(signal?: AbortSignal): Promise<boolean> {
    if (this.#size === 0) return true;
    if (signal?.aborted === true) return false;
    return new Promise((resolve) => {
      this.#onEmpty.push(() => resolve(true));
      signal?.addEventListener("abort", () => resolve(false), { once: true });
    });
  }
}
