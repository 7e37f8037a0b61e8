import type { Binding } from "@steward/core";
import type { Needs } from "@steward/core/container";
import type { Engine } from "../lifecycle/engine.ts";
import type { AnyDefinition } from "../graph/graph.ts";
import { KeyedSession } from "../session/keyed-session.ts";
import type { Plan } from "./plan.ts";
import { runScope, type Scope, type ScopeWork } from "./run-scope.ts";
import type { InputProvider, ScopeState } from "./scope.ts";
import type { Generation } from "../lifecycle/state.ts";

/** A scope whose moments a framework chooses itself. */
export interface FrameworkScope extends Scope {
  /** True until it is closed. */
  readonly isOpen: boolean;
  /** The values of the prepared needs, once they have been entered. */
  readonly result: Readonly<Record<string, unknown>>;
  /** True when `settle` has nothing to do. */
  readonly settlesAtOnce: boolean;
  /** True when `close` has nothing to undo: `endAtOnce` is enough. */
  readonly endsAtOnce: boolean;
  /** Closes a scope that has nothing to undo, without waiting. */
  endAtOnce(): void;
}

/** Needs that were compiled once, for a framework that opens a scope for every request. Overrides are applied. */
export class PreparedNeeds {
  readonly #engine: Engine;
  readonly #needs: Needs;
  #generation: Generation | undefined;
  #version = -1;
  #plan: Plan | undefined;

  /** @internal `running.prepare(needs)` makes these. */
  constructor(engine: Engine, needs: Needs) {
    this.#engine = engine;
    this.#needs = needs;
  }

  /** Inputs that a scope has to be opened with, in the order in which they are best given. */
  get inputs(): readonly { readonly definition: AnyDefinition }[] {
    return this.#compiled(this.#engine.state.current).inputs;
  }

  /** What resolving makes, in order: each after what it needs. */
  get makes(): readonly AnyDefinition[] {
    return this.#compiled(this.#engine.state.current).steps.flatMap((step) => step.definition ?? []);
  }

  /** The name of something that belongs to a session and is needed; `undefined` where nothing is. */
  get ofSession(): string | undefined {
    return this.#compiled(this.#engine.state.current).ofSession?.name;
  }

  /** A promise to wait for before a scope opens, while something that exists only once is being restarted. */
  get gate(): Promise<void> | undefined {
    return this.#engine.restarts.gate;
  }

  /**
   * Opens a scope. `provide` is asked for inputs that are wanted later and were not given; `sessionKey` says which
   * session the scope belongs to, once something of a session is wanted.
   *
   * @throws {CONTAINER_CLOSED} when the container stops.
   */
  open(inputs: readonly Binding[], provide?: InputProvider, sessionKey?: () => string): FrameworkScope {
    const refusal = this.#engine.refusal();
    if (refusal !== undefined) throw refusal;
    const session = sessionKey === undefined ? undefined : new KeyedSession(this.#engine.sessions, sessionKey);
    const scope = this.#engine.scopes.open(inputs, session);
    session?.belongsTo(scope);
    scope.provide = provide;
    return scope as FrameworkScope; // the state has what a prepared scope promises, for definitions of any type
  }

  /** Resolves the needs in a scope that was just opened: in the same tick, or once the promise has settled. */
  enter(scope: FrameworkScope): Promise<void> | undefined {
    const state = scope as ScopeState; // `open` made it
    return state.enterPlan(this.#compiled(state.generation));
  }

  /**
   * Where the needs want something of a session, takes that of a scope into use until the scope has ended.
   *
   * @returns `false` where the scope belongs to none.
   * @throws What the function for its key throws.
   */
  holdSession(scope: FrameworkScope): boolean {
    const definition = this.#compiled(this.#engine.state.current).ofSession;
    if (definition === undefined) return true;
    const { session } = scope as ScopeState; // `open` made it
    if (session instanceof KeyedSession) session.hold(definition);
    return session !== undefined;
  }

  /** Runs work with the values in a scope of its own, which belongs to the session of another scope. */
  runBeside(scope: FrameworkScope, fn: ScopeWork): Promise<unknown> {
    return runScope(this.#engine, [], this.#needs, fn, (scope as ScopeState).session); // as above
  }

  #compiled(generation: Generation): Plan {
    if (this.#plan !== undefined && this.#generation === generation && this.#version === generation.version)
      return this.#plan;
    this.#generation = generation;
    this.#version = generation.version;
    return (this.#plan = this.#engine.planFor(generation, this.#needs, "first"));
  }
}
