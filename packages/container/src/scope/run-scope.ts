import type { Binding } from "@steward/core";
import { isThenable, type Needs, type ValuesOf } from "@steward/core/container";
import type { Engine } from "../lifecycle/engine.ts";
import type { Resolved, ResolvableBy, ScopeNeeds, SomeDefinition } from "./scope-types.ts";
import type { ScopeState } from "./scope.ts";
import type { SessionSource } from "./value-holder.ts";

/** An open scope: a request, a job, a test. Closing it releases what it made, last made first. */
export interface Scope<Bound extends string = string> extends AsyncDisposable {
  /** Aborts when the scope's work is given up, and at its end. */
  readonly signal: AbortSignal;
  /** The value of a definition; what this scope made already is not made again. */
  get<D extends SomeDefinition>(definition: D & ResolvableBy<D, Bound>): Promise<Resolved<D>>;
  /** The values of needs. */
  resolve<const N extends Needs>(needs: N & ScopeNeeds<N, Bound>): Promise<ValuesOf<N>>;
  /** Gives up the work: aborts the signal. Cleanup still runs at the close. */
  abort(reason?: unknown): void;
  /** The handler has settled: runs commits, with its error thrown in where it failed. For frameworks; `close` does it too. */
  settle(failure?: { readonly error: unknown }): Promise<void>;
  /** The response has ended: releases everything that is left. */
  close(failure?: { readonly error: unknown }): Promise<void>;
}

/** Work in a scope, without its types. */
export type ScopeWork = (values: never, scope: never) => unknown;

/** Opens a scope that its caller closes. */
export function openScope(
  engine: Engine,
  inputs: readonly Binding[] | undefined,
  session: SessionSource | undefined,
): Scope {
  const refusal = engine.refusal();
  if (refusal !== undefined) throw refusal;
  return engine.scopes.openAtOnce(inputs, session) as Scope; // the state has what a scope promises, for definitions of any type
}

/** Opens a scope for `fn`, in one tick where nothing has to be waited for. */
export function runScope(
  engine: Engine,
  inputs: readonly Binding[] | undefined,
  needs: Needs,
  fn: ScopeWork,
  session: SessionSource | undefined,
): Promise<unknown> {
  const refusal = engine.refusal();
  if (refusal !== undefined) return Promise.reject(refusal);
  const gate = engine.restarts.gate;
  if (gate !== undefined) return gate.then(() => runScope(engine, inputs, needs, fn, session));
  const scope = engine.scopes.open(inputs, session);
  let pending: unknown;
  try {
    const entering = scope.enterPlan(engine.planFor(scope.generation, needs, "first"));
    if (entering === undefined) pending = call(fn, scope);
    else
      return finish(
        scope,
        entering.then(() => call(fn, scope)),
      );
  } catch (error) {
    return fail(scope, error);
  }
  if (isThenable(pending) || !scope.endsAtOnce) return finish(scope, pending);
  scope.endAtOnce();
  return Promise.resolve(pending);
}

function call(fn: ScopeWork, scope: ScopeState): unknown {
  return fn(scope.result as never, scope as never); // the needs were compiled from what `fn` is typed with
}

/** No async function: its suspended frame would be a third of what an open scope costs. */
function finish(scope: ScopeState, work: unknown): Promise<unknown> {
  return Promise.resolve(work).then(
    (result) => end(scope, result),
    (error: unknown) => fail(scope, error),
  );
}

function end(scope: ScopeState, result: unknown): unknown {
  if (!scope.endsAtOnce) return scope.close().then(() => result);
  scope.endAtOnce();
  return result;
}

async function fail(scope: ScopeState, error: unknown): Promise<never> {
  await scope.close({ error });
  throw error;
}
