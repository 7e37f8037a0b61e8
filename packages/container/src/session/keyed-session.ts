import type { Binding } from "@steward/core";
import type { AnyDefinition } from "../graph/graph.ts";
import type { Generation } from "../lifecycle/state.ts";
import type { ScopeState } from "../scope/scope.ts";
import type { SessionSource } from "../scope/value-holder.ts";
import type { SessionState } from "./session.ts";
import type { Sessions } from "./sessions.ts";

const NO_INPUTS: readonly Binding[] = [];

/** The session of a scope whose key is asked for at its first value. It is in use from then until the scope has ended. */
export class KeyedSession implements SessionSource {
  readonly #sessions: Sessions;
  readonly #key: () => string;
  #scope: ScopeState | undefined;
  #session: SessionState | undefined;

  constructor(sessions: Sessions, key: () => string) {
    this.#sessions = sessions;
    this.#key = key;
  }

  /** Notes whose session it is. */
  belongsTo(scope: ScopeState): void {
    this.#scope = scope;
  }

  /** Takes it into use for something of it that is wanted later. */
  hold(definition: AnyDefinition): void {
    this.#used(definition);
  }

  get(definition: AnyDefinition, generation: Generation): Promise<unknown> {
    return this.#used(definition).get(definition, generation);
  }

  #used(definition: AnyDefinition): SessionState {
    if (this.#session !== undefined) return this.#session;
    const { session, done } = this.#sessions.use(this.#key(), NO_INPUTS);
    this.#session = session;
    this.#scope?.willCleanUp({ definition, handler: false, generator: undefined, stop: done, value: undefined });
    return session;
  }
}
