import { afterReply, isThenable, type Spec, type StopContext } from "@steward/core";
import { containerError, yieldedTwice } from "../errors.ts";
import type { AnyDefinition } from "../graph/graph.ts";
import { withSuppressed } from "./suppressed.ts";

/** A lifecycle generator that has yielded its value. */
export type LifecycleGenerator = Iterator<unknown> | AsyncIterator<unknown>;

/** Something that a scope or a session has to undo. */
export interface Cleanup {
  /** What made it necessary. */
  readonly definition: AnyDefinition;
  /** True when it runs once the handler has settled; false when it runs at the scope's end. */
  readonly handler: boolean;
  /** The generator to resume, or what to stop. */
  readonly generator: LifecycleGenerator | undefined;
  readonly stop: Spec["stop"];
  readonly value: unknown;
}

/** How a scope's work went so far: an error, or none. A boxed error, because anything can be thrown. */
export type Outcome = { readonly error: unknown } | undefined;

/** What is left after cleanups have run. */
export interface CleanedUp {
  readonly outcome: Outcome;
  readonly later: readonly Cleanup[];
}

/**
 * Runs cleanups, last entered first. Every one runs, and the error of the work is thrown into each generator.
 *
 * What fails meanwhile never hides that error: it is attached as `suppressed`. Only a generator that throws another
 * error with the first as its cause has answered it: then the new one takes its place for those further out.
 */
export async function runCleanups(
  cleanups: readonly Cleanup[],
  outcome: Outcome,
  context: StopContext,
): Promise<CleanedUp> {
  let later: Cleanup[] | undefined;
  let now = outcome;
  let swallowed: Outcome;
  for (let i = cleanups.length - 1; i >= 0; i--) {
    const cleanup = cleanups[i];
    if (cleanup === undefined) continue;
    try {
      const pending = begin(cleanup, now, context);
      const next = isThenable(pending) ? await pending : pending;
      if (cleanup.generator === undefined) continue;
      if ((next as IteratorResult<unknown>).done === true) {
        // a generator answers with one
        swallowed = now ?? swallowed;
        now = undefined;
      } else {
        await refuseYield(cleanup, cleanup.generator, next as IteratorResult<unknown>); // as above
        (later ??= []).unshift({ ...cleanup, handler: false });
      }
    } catch (error) {
      now = afterFailure(now, error, context);
    }
  }
  return { outcome: swallowed === undefined ? now : swallowedError(swallowed, now, context), later: later ?? [] };
}

/** Stops a value, or resumes a generator: with the error thrown in where there is one. */
function begin({ generator, stop, value }: Cleanup, outcome: Outcome, context: StopContext): unknown {
  if (generator === undefined) return stop?.(value, context);
  return outcome === undefined || generator.throw === undefined ? generator.next() : generator.throw(outcome.error);
}

/** What a failed cleanup makes of the outcome. */
function afterFailure(before: Outcome, error: unknown, scope: object): Outcome {
  if (before === undefined || answers(error, before.error)) return { error };
  return { error: withSuppressed(before.error, failureIn(error, before.error), scope) };
}

/** Whether an error is the first one, or says that it was made of it. */
function answers(error: unknown, first: unknown): boolean {
  const seen = new Set<unknown>();
  let cause = error;
  while (cause !== first) {
    if (!(cause instanceof Error) || !("cause" in cause) || seen.has(cause)) return false;
    seen.add(cause);
    cause = cause.cause;
  }
  return true;
}

/** What failed: `using` in a generator says it as an error that suppresses the one that was thrown in. */
function failureIn(error: unknown, first: unknown): unknown {
  const isPair = typeof error === "object" && error !== null && "error" in error && "suppressed" in error;
  return isPair && error.suppressed === first ? error.error : error;
}

/** Only a handler generator may yield a second time, and only `afterReply`. */
async function refuseYield(
  cleanup: Cleanup,
  generator: LifecycleGenerator,
  next: IteratorResult<unknown>,
): Promise<void> {
  if (cleanup.handler && next.value === afterReply) return;
  await generator.return?.(undefined);
  throw yieldedTwice(cleanup.definition.name);
}

function swallowedError(swallowed: { readonly error: unknown }, failure: Outcome, scope: object): Outcome {
  const error = containerError(
    "GENERATOR_SWALLOWED_ERROR",
    "a lifecycle generator caught the handler's error and did not throw it on; throw it, or another one, after cleaning up",
    { cause: swallowed.error },
  );
  return { error: failure === undefined ? error : withSuppressed(error, failure.error, scope) };
}
