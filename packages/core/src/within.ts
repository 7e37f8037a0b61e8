import type { Clock } from "./clock.ts";

/** Says that time ran out; whoever set the bound turns it into an error with a name and numbers. */
export class TimeoutReached extends Error {}

/** How to give up a bounded piece of work. */
export interface WithinOptions {
  /** Aborted with the reason when the work is given up. */
  readonly abort: AbortController;
  /** A caller's signal; when it aborts, the work is given up. */
  readonly outer?: AbortSignal | undefined;
  /** How long the work may still settle by itself after `outer` aborted, in ms. Default 0. */
  readonly outerGraceMs?: number | undefined;
  /** Called when work that was given up succeeds after all, so that what it made can be released. */
  readonly onLate?: (() => unknown) | undefined;
}

/**
 * Runs `work` for at most `timeoutMs`. It settles in that time whatever the work does; what arrives later goes to
 * `onLate`.
 */
export function within<T>(clock: Clock, timeoutMs: number, work: () => Promise<T>, options: WithinOptions): Promise<T> {
  const { abort, outer, onLate, outerGraceMs = 0 } = options;
  return new Promise<T>((resolve, reject) => {
    let open = true;
    let grace: { cancel(): void } | undefined;
    const finish = (settle: () => void): void => {
      open = false;
      timer.cancel();
      grace?.cancel();
      outer?.removeEventListener("abort", onOuter);
      abort.signal.removeEventListener("abort", onAbort);
      settle();
    };
    const giveUp = (reason: unknown): void => {
      if (!open) return;
      finish(() => reject(reason));
      abort.abort(reason);
    };
    const onOuter = (): void => {
      if (outerGraceMs === 0) return giveUp(outer?.reason);
      abort.abort(outer?.reason);
      grace = clock.setTimeout(() => giveUp(new TimeoutReached()), outerGraceMs);
    };
    const onAbort = (): void => {
      if (outerGraceMs === 0) giveUp(abort.signal.reason);
    };
    const timer = clock.setTimeout(() => giveUp(new TimeoutReached()), timeoutMs);
    if (outer?.aborted === true) return onOuter();
    if (abort.signal.aborted) return onAbort();
    outer?.addEventListener("abort", onOuter, { once: true });
    abort.signal.addEventListener("abort", onAbort, { once: true });
    work().then(
      (value) => (open ? finish(() => resolve(value)) : onLate?.()),
      (error: unknown) => open && finish(() => reject(error)),
    );
  });
}
