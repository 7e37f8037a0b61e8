import { afterReply, type Spec, type StopContext } from "@steward/core";
import { containerError } from "./errors.ts";
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

/** What one exit made of the outcome. */
interface ExitResult {
  readonly outcome: Outcome;
  /** The error that a generator caught and did not throw on. */
  readonly swallowed: Outcome;
  /** Part of a handler generator that has to wait for the end of the reply. */
  readonly later: Exit | undefined;
}

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
  const later: Exit[] = [];
  let now = outcome;
  let swallowed: Outcome;
  for (let i = exits.length - 1; i >= 0; i--) {
    const exit = exits[i];
    if (exit === undefined) continue;
    const result = exit.generator === undefined ? await stopOne(exit, now, context) : await resume(exit, exit.generator, now);
    now = result.outcome;
    swallowed = result.swallowed ?? swallowed;
    if (result.later !== undefined) later.unshift(result.later);
  }
  return { outcome: now ?? swallowedError(swallowed), later };
}

async function stopOne(exit: Exit, outcome: Outcome, context: StopContext): Promise<ExitResult> {
  try {
    await exit.stop?.(exit.value, context);
    return { outcome, swallowed: undefined, later: undefined };
  } catch (error) {
    return { outcome: { error }, swallowed: undefined, later: undefined };
  }
}

async function resume(exit: Exit, generator: LifecycleGenerator, outcome: Outcome): Promise<ExitResult> {
  try {
    const next = outcome === undefined || generator.throw === undefined ? await generator.next() : await generator.throw(outcome.error);
    if (next.done === true) return { outcome: undefined, swallowed: outcome, later: undefined };
    if (exit.handler && next.value === afterReply) return { outcome, swallowed: undefined, later: { ...exit, handler: false } };
    await generator.return?.(undefined);
    throw yieldedTwice(exit.name);
  } catch (error) {
    return { outcome: { error }, swallowed: undefined, later: undefined };
  }
}

function swallowedError(swallowed: Outcome): Outcome {
  if (swallowed === undefined) return undefined;
  const error = containerError("GENERATOR_SWALLOWED_ERROR", "a lifecycle generator caught the handler's error and did not throw it on; throw it, or another one, after cleaning up", {
    cause: swallowed.error,
  });
  return { error };
}
