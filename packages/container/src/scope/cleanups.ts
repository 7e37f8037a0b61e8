import { afterReply } from "@steward/core";
import { isThenable, type Spec } from "@steward/core/container";
import { containerError, yieldedTwice } from "../errors.ts";
import type { AnyDefinition } from "../graph/graph.ts";
import { withSuppressed } from "./suppressed.ts";
import { CleanupContext, Wait, type Bounds, type Subject } from "./bounds.ts";

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
 * Runs cleanups, last entered first. Every one runs, and the error of the work is thrown into each generator. One that
 * takes longer than it may has failed, and is left behind.
 *
 * What fails meanwhile never hides that error: it is attached as `suppressed`. Only a generator that throws another
 * error with the first as its cause has answered it: then the new one takes its place for those further out.
 *
 * @param scope What the work was done in: failures are attached to its error once for each.
 */
export function runCleanups(
  cleanups: readonly Cleanup[],
  outcome: Outcome,
  scope: object,
  bounds: Bounds,
): Promise<CleanedUp> {
  return new Promise((resolve) => new CleanupRun(cleanups, outcome, scope, bounds, resolve).goOn());
}

class CleanupRun extends Wait {
  readonly #cleanups: readonly Cleanup[];
  readonly #scope: object;
  readonly #bounds: Bounds;
  readonly #resolve: (result: CleanedUp) => void;
  #index: number;
  #outcome: Outcome;
  #swallowed: Outcome = undefined;
  #later: Cleanup[] | undefined = undefined;
  #context: CleanupContext | undefined = undefined;
  #pending: PromiseLike<unknown> | undefined = undefined;

  constructor(
    cleanups: readonly Cleanup[],
    outcome: Outcome,
    scope: object,
    bounds: Bounds,
    resolve: (result: CleanedUp) => void,
  ) {
    super();
    this.#cleanups = cleanups;
    this.#outcome = outcome;
    this.#scope = scope;
    this.#bounds = bounds;
    this.#resolve = resolve;
    this.#index = cleanups.length;
  }

  /** Runs the next ones, up to one that has to be waited for. */
  goOn(): void {
    while (--this.#index >= 0) {
      const cleanup = this.#cleanups[this.#index];
      if (cleanup !== undefined && !this.#run(cleanup)) return;
    }
    const swallowed = this.#swallowed;
    const outcome = swallowed === undefined ? this.#outcome : swallowedError(swallowed, this.#outcome, this.#scope);
    this.#resolve({ outcome, later: this.#later ?? [] });
  }

  /** Says whether it is over; else it is waited for. */
  #run(cleanup: Cleanup): boolean {
    try {
      this.#context = cleanup.generator === undefined ? new CleanupContext() : undefined;
      const value = begin(cleanup, this.#outcome, this.#context);
      return isThenable(value) ? this.#waitFor(cleanup, value, undefined) : this.#accept(cleanup, value);
    } catch (error) {
      return this.#fail(error);
    }
  }

  #waitFor(cleanup: Cleanup, pending: PromiseLike<unknown>, refused: Error | undefined): false {
    this.#pending = pending;
    this.#bounds.add(this);
    const { turn } = this;
    pending.then(
      (value) => {
        if (turn === this.turn) this.#arrived(cleanup, value, refused);
      },
      (error: unknown) => {
        if (turn !== this.turn) return;
        this.#bounds.remove(this);
        this.#fail(error);
        this.goOn();
      },
    );
    return false;
  }

  #arrived(cleanup: Cleanup, value: unknown, refused: Error | undefined): void {
    this.#bounds.remove(this);
    let isOver: boolean;
    try {
      isOver = refused === undefined ? this.#accept(cleanup, value) : this.#fail(refused);
    } catch (error) {
      isOver = this.#fail(error);
    }
    if (isOver) this.goOn();
  }

  /** Takes what a cleanup has answered. Only a handler generator may yield a second time, and only `afterReply`. */
  #accept(cleanup: Cleanup, value: unknown): boolean {
    const { generator, handler, definition } = cleanup;
    if (generator === undefined) return true;
    const next = value as IteratorResult<unknown>; // a generator answers with one
    if (next.done === true) {
      this.#swallowed = this.#outcome ?? this.#swallowed;
      this.#outcome = undefined;
      return true;
    }
    if (handler && next.value === afterReply) {
      (this.#later ??= []).unshift({ ...cleanup, handler: false });
      return true;
    }
    const refused = yieldedTwice(definition.name);
    const ended = generator.return?.(undefined);
    return isThenable(ended) ? this.#waitFor(cleanup, ended, refused) : this.#fail(refused);
  }

  #fail(error: unknown): true {
    this.#outcome = afterFailure(this.#outcome, error, this.#scope);
    return true;
  }

  get subject(): Subject | undefined {
    const definition = this.#cleanups[this.#index]?.definition;
    return definition && { definition, phase: "cleanup", context: this.#context };
  }

  override giveUp(reason: Error): void {
    void resumeLate(this.#cleanups[this.#index]?.generator, this.#pending).catch(() => {}); // it has failed already
    this.#fail(reason);
    this.goOn();
  }
}

/** A generator that yields when it was given up is resumed at once: nothing else will do it. */
async function resumeLate(generator: LifecycleGenerator | undefined, pending: unknown): Promise<void> {
  const next = await pending;
  if (generator === undefined || (next as IteratorResult<unknown>).done === true) return; // a generator answers with one
  await Promise.resolve(generator.next()).catch(() => {});
  await generator.return?.(undefined);
}

/** Stops a value, or resumes a generator: with the error thrown in where there is one. */
function begin({ generator, stop, value }: Cleanup, outcome: Outcome, context: CleanupContext | undefined): unknown {
  if (generator === undefined) return context === undefined ? undefined : stop?.(value, context);
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

function swallowedError(swallowed: { readonly error: unknown }, failure: Outcome, scope: object): Outcome {
  const error = containerError(
    "GENERATOR_SWALLOWED_ERROR",
    "a lifecycle generator caught the handler's error and did not throw it on; throw it, or another one, after cleaning up",
    { cause: swallowed.error },
  );
  return { error: failure === undefined ? error : withSuppressed(error, failure.error, scope) };
}
