import type { Binding } from "@steward/core";
import type { Needs, ValuesOf } from "@steward/core/container";
import type { Engine } from "../lifecycle/engine.ts";
import { runScope, type Scope, type ScopeWork } from "../scope/run-scope.ts";
import type { InputsOf, Resolved, ResolvableBy, ScopeNeeds, SomeDefinition } from "../scope/scope-types.ts";

/** A user's session: what belongs to it is made at its first use and released when it ends. */
export class SessionHandle<Bound extends string = never> {
  readonly #engine: Engine;
  readonly #key: string;
  readonly #inputs: readonly Binding[];

  /** @internal `running.session(key)` makes these. */
  constructor(engine: Engine, key: string, inputs: readonly Binding[]) {
    this.#engine = engine;
    this.#key = key;
    this.#inputs = inputs;
  }

  /** Like `running.scope`, inside this session. */
  scope<const B extends readonly Binding[], const N extends Needs, R>(
    inputs: B,
    needs: N & ScopeNeeds<N, Bound | InputsOf<B>>,
    fn: (values: ValuesOf<N>, scope: Scope<Bound | InputsOf<B>>) => R,
  ): Promise<Awaited<R>>;
  async scope(inputs: readonly Binding[], needs: Needs, fn: ScopeWork): Promise<unknown> {
    const refusal = this.#engine.refusal();
    if (refusal !== undefined) throw refusal;
    const { session, done } = this.#engine.sessions.use(this.#key, this.#inputs);
    try {
      return await runScope(this.#engine, inputs, needs, fn, session);
    } finally {
      done();
    }
  }

  /**
   * A value of this session.
   *
   * @throws {CONTAINER_CLOSED} when the container stops.
   */
  async get<D extends SomeDefinition>(definition: D & ResolvableBy<D, Bound>): Promise<Resolved<D>> {
    const scope = await this.#engine.scopes.openLater(); // it holds what the value is made from
    try {
      const { session, done } = this.#engine.sessions.use(this.#key, this.#inputs);
      try {
        return (await session.get(definition, scope.generation)) as Resolved<D>; // the plan made it of this definition
      } finally {
        done();
      }
    } finally {
      scope.endAtOnce();
    }
  }

  /** Ends the session; one that is in use ends after its last user. */
  end(): Promise<void> {
    return this.#engine.sessions.end(this.#key);
  }
}
