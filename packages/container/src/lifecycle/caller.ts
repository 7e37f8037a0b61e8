import { currentContext, StewardError, type Clock, type Timer } from "@steward/core";
import { sharedAbortController } from "@steward/core/container";

/** How long a caller waits for something that others may want too. */
export interface CallerOptions {
  /** Ends the wait when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Longest wait, in ms. Default: none. The deadline of the request counts too. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Runs some work with a signal that aborts when its caller has gone or its deadline has passed: its own, and that of
 * the request it belongs to. Without any of them the signal is `undefined`.
 */
export async function forCaller<T>(
  clock: Clock,
  what: string,
  { signal, timeoutMs }: CallerOptions,
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  const context = currentContext();
  const ends = Math.min(context?.deadline ?? Infinity, timeoutMs === undefined ? Infinity : clock.now() + timeoutMs);
  const sources = [signal, context?.signal].filter((one) => one !== undefined);
  if (sources.length === 0 && ends === Infinity) return work(undefined);
  const abort = new AbortController();
  const onAbort = (): void =>
    abort.abort(
      new StewardError("CALL_ABORTED", `${what}: its caller has gone`, {
        cause: sources.find((one) => one.aborted)?.reason,
      }),
    );
  const late = (): void =>
    abort.abort(new StewardError("DEADLINE_EXCEEDED", `${what}: its caller's time is over`, { retryable: true }));
  let timer: Timer | undefined;
  for (const source of sources) source.addEventListener("abort", onAbort, { once: true });
  if (sources.some((one) => one.aborted)) onAbort();
  else if (ends !== Infinity) timer = clock.setTimeout(late, Math.max(0, ends - clock.now()));
  try {
    return await work(abort.signal);
  } finally {
    timer?.cancel();
    for (const source of sources) source.removeEventListener("abort", onAbort);
  }
}

/** Waits for some work until a signal aborts; the work goes on. Rejects with the signal's reason. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let onAbort: (() => void) | undefined;
  try {
    return await Promise.race([
      work,
      new Promise<never>((_resolve, reject) => {
        onAbort = () => reject(signal.reason as Error);
        if (signal.aborted) onAbort();
        else signal.addEventListener("abort", onAbort, { once: true });
      }),
    ]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
  }
}

/** A signal that aborts with the first of two, until `end` is called. */
export function firstOf(
  one: AbortSignal,
  other: AbortSignal | undefined,
): { readonly signal: AbortSignal; readonly end: () => void } {
  const abort = sharedAbortController();
  const onAbort = (event: Event): void => abort.abort((event.target as AbortSignal).reason); // listeners of signals only
  const sources = other === undefined ? [one] : [one, other];
  for (const source of sources) {
    if (source.aborted) abort.abort(source.reason);
    source.addEventListener("abort", onAbort, { once: true });
  }
  const end = (): void => {
    for (const source of sources) source.removeEventListener("abort", onAbort);
  };
  return { signal: abort.signal, end };
}
