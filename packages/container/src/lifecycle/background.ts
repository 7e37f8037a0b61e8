import type { BackgroundEvent, Clock, RerunOptions } from "@steward/core";
import { backoffMs, describeError, publishEvent, type Trouble } from "@steward/core/container";
import { containerError } from "../errors.ts";
import type { Events } from "./events.ts";

/** One unasked end of background work, as the resource itself knows it. */
export type BackgroundEnd = Pick<BackgroundEvent, "resource" | "error" | "againInMs">;

/** What the background work is doing. */
type State = { readonly name: "running" } | { readonly name: "ended"; readonly error: Error };

type Limits = Readonly<Record<"maxReruns" | "withinMs" | "baseDelayMs" | "maxDelayMs", number>> & {
  readonly afterLimit: "exit" | "keep-trying";
};

const DEFAULTS = { maxReruns: 5, withinMs: 60_000, baseDelayMs: 1_000, maxDelayMs: 30_000 };

/** How background work is run. */
export interface BackgroundContext {
  readonly clock: Clock;
  /** The resource it belongs to. */
  readonly resource: string;
  readonly rerun: RerunOptions | undefined;
  /** What happens past the limit where the definition does not say. */
  readonly afterLimit: "exit" | "keep-trying";
  readonly onEnd: (end: BackgroundEnd) => void;
}

/** Runs background work until it is asked to end, and again, after a delay, when it ends by itself: not too often. */
export class Background {
  readonly #work: (signal: AbortSignal) => Promise<unknown>;
  readonly #context: BackgroundContext;
  readonly #limits: Limits;
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  /** When it ended unasked, within the period that counts. */
  readonly #ends: number[] = [];
  #state: State = { name: "running" };
  #lastError: Error | undefined;

  constructor(work: (signal: AbortSignal) => Promise<unknown>, context: BackgroundContext) {
    this.#work = work;
    this.#context = context;
    const given = Object.fromEntries(Object.entries(context.rerun ?? {}).filter(([, value]) => value !== undefined));
    this.#limits = { ...DEFAULTS, afterLimit: context.afterLimit, ...given };
    this.#done = this.#runAll();
  }

  /** Why the resource is not well; `undefined` while the work runs and has not ended within the period that counts. */
  get trouble(): Trouble | undefined {
    if (this.#state.name === "ended") return { status: "unhealthy", reason: this.#state.error.message };
    this.#forgetOld();
    if (this.#lastError === undefined || this.#ends.length === 0) return undefined;
    return { status: "degraded", reason: `it runs again; before that: ${this.#lastError.message}` };
  }

  /** Asks the work to end, and waits for it. */
  async end(): Promise<void> {
    this.#abort.abort(containerError("CONTAINER_CLOSED", "the container drains"));
    await this.#done;
  }

  async #runAll(): Promise<void> {
    const { signal } = this.#abort;
    for (;;) {
      const ended = await this.#runOnce(signal);
      if (signal.aborted) return;
      const againInMs = this.#noteEnd(ended);
      if (againInMs === undefined) return;
      await this.#context.clock.sleep(againInMs, signal).catch(() => {}); // it was asked to end meanwhile
      if (signal.aborted) return;
      this.#state = { name: "running" };
    }
  }

  /** Settles with how the work ended: what it threw, boxed, or nothing. */
  async #runOnce(signal: AbortSignal): Promise<{ readonly cause?: unknown }> {
    try {
      await this.#work(signal);
      return {};
    } catch (cause) {
      return { cause };
    }
  }

  /** Announces the end; gives the delay until it runs again, in ms, or `undefined` when it does not. */
  #noteEnd(ended: { readonly cause?: unknown }): number | undefined {
    this.#forgetOld();
    const earlier = this.#ends.length;
    this.#ends.push(this.#context.clock.now());
    const againInMs = this.#delayAfter(earlier);
    const error = this.#endError(ended, earlier + 1, againInMs);
    this.#lastError = error;
    this.#state = { name: "ended", error };
    this.#context.onEnd({ resource: this.#context.resource, error, againInMs });
    return againInMs;
  }

  #forgetOld(): void {
    const from = this.#context.clock.now() - this.#limits.withinMs;
    while (this.#ends[0] !== undefined && this.#ends[0] <= from) this.#ends.shift();
  }

  #delayAfter(earlier: number): number | undefined {
    const { maxReruns, afterLimit, baseDelayMs, maxDelayMs } = this.#limits;
    if (earlier < maxReruns) return backoffMs(earlier, { minMs: baseDelayMs, maxMs: maxDelayMs }, "equal");
    return afterLimit === "exit" ? undefined : maxDelayMs;
  }

  #endError(ended: { readonly cause?: unknown }, times: number, againInMs: number | undefined): Error {
    const { maxReruns, withinMs } = this.#limits;
    const { resource } = this.#context;
    const how = "cause" in ended ? `failed: ${describeError(ended.cause)}` : "returned before it was asked to end";
    const next =
      againInMs === undefined
        ? `it is not run again, because ${maxReruns} reruns within ${withinMs} ms are the limit`
        : `it runs again in ${Math.round(againInMs)} ms (end ${times} within ${withinMs} ms, limit ${maxReruns + 1})`;
    return containerError("BACKGROUND_ENDED", `${resource}: its background work ${how}; ${next}`, {
      resource,
      ...ended,
    });
  }
}

/** Publishes the end of background work, and hands it to the caller's own listener. */
export function announceBackgroundEnd(
  events: Events,
  end: BackgroundEnd,
  listener: (event: BackgroundEvent) => void,
): void {
  const event = events.stamped<"background">(end);
  publishEvent("background", event);
  queueMicrotask(() => listener(event)); // one that throws is an uncaught exception, not the end of the reruns
}
