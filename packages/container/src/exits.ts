import { afterReply, type Spec, type StopContext } from "@steward/core";
import { containerError } from "./errors.ts";
import { isThenable } from "./execute.ts";
import { yieldedTwice } from "./plain.ts";

/** A lifecycle generator that has yielded its value. */
export type LifecycleGenerator = Iterator<unknown> | AsyncIterator<unknown>;

/** Something that a scope has to undo. */
export interface Exit {
  readonly name: string;
  /** True when it runs once the handler has settled; false when it runs at the scope's end. */
  readonly handler: boolean;
  /** The generator to resume, or what to stop. */
  readonly generator: LifecycleGenerator | undefined;
  readonly stop: Spec["stop"];
  readonly value: unknown;
}

/** How a scope's work went so far: an error, or none. A boxed error, because anything can be thrown. */
export type Outcome = { readonly error: unknown } | undefined;

/** What is left after exits have run. */
export interface Exited {
  readonly outcome: Outcome;
  readonly later: readonly Exit[];
}

/**
 * Runs exits, last entered first. Every one runs; an error is thrown into each generator, and one that a cleanup
 * throws takes its place for those further out, as with nested `try` blocks.
 */
export async function runExits(exits: readonly Exit[], outcome: Outcome, context: StopContext): Promise<Exited> {
  let later: Exit[] | undefined;
  let now = outcome;
  let swallowed: Outcome;
  for (let i = exits.length - 1; i >= 0; i--) {
    const exit = exits[i];
    if (exit === undefined) continue;
    try {
      const pending = leave(exit, now, context);
      const next = isThenable(pending) ? await pending : pending;
      if (exit.generator === undefined) continue;
      if ((next as IteratorResult<unknown>).done === true) {
        // a generator answers with one
        swallowed = now ?? swallowed;
        now = undefined;
      } else {
        await refuseYield(exit, exit.generator, next as IteratorResult<unknown>); // as above
        (later ??= []).unshift({ ...exit, handler: false });
      }
    } catch (error) {
      now = { error };
    }
  }
  return { outcome: now ?? swallowedError(swallowed), later: later ?? [] };
}

/** Stops a value, or resumes a generator: with the error thrown in where there is one. */
function leave({ generator, stop, value }: Exit, outcome: Outcome, context: StopContext): unknown {
  if (generator === undefined) return stop?.(value, context);
  return outcome === undefined || generator.throw === undefined ? generator.next() : generator.throw(outcome.error);
}

/** Only a handler generator may yield a second time, and only `afterReply`. */
async function refuseYield(exit: Exit, generator: LifecycleGenerator, next: IteratorResult<unknown>): Promise<void> {
  if (exit.handler && next.value === afterReply) return;
  await generator.return?.(undefined);
  throw yieldedTwice(exit.name);
}

function swallowedError(swallowed: Outcome): Outcome {
  if (swallowed === undefined) return undefined;
  const error = containerError(
    "GENERATOR_SWALLOWED_ERROR",
    "a lifecycle generator caught the handler's error and did not throw it on; throw it, or another one, after cleaning up",
    {
      cause: swallowed.error,
    },
  );
  return { error };
}
