import { withJitter } from "../time/backoff.ts";
import { milliseconds, share, wholeNumber } from "../options/rules.ts";
import { assertShape, shape, type Shape } from "../options/shape.ts";
import { publishBreaker } from "../channels.ts";
import { StewardError } from "../errors.ts";
import type { BreakerState } from "./breaker-state.ts";
import { RollingWindow } from "./window.ts";

/** When a circuit breaker opens and how it closes again. */
export interface BreakerOptions {
  /** Failures in a row that open it. 1 or more. Default 5. */
  readonly consecutiveFailures?: number | undefined;
  /** Share of failures in the window that opens it, above 0 to 1. Default 0.5. */
  readonly failureRatio?: number | undefined;
  /** Calls in the window below which a ratio says nothing. Default 20. */
  readonly minimumThroughput?: number | undefined;
  /** How far the window looks back, in ms. Default 10,000. */
  readonly samplingDurationMs?: number | undefined;
  /** A call that takes longer counts as slow, in ms. Default: none does. */
  readonly slowCallMs?: number | undefined;
  /** Share of slow calls in the window that opens it, above 0 to 1. Default 0.8. */
  readonly slowCallRatio?: number | undefined;
  /**
   * Time without any success after which calls in flight are suspected to hang, in ms; never below three times the
   * usual p99. It opens only when the resource does not answer a question then either. Default 450.
   */
  readonly stallMs?: number | undefined;
  /**
   * How long it stays open before one call may try, in ms, varied by a fifth. Default 150: one call at a time is no
   * load. Where the resource can be asked without a call, it is asked that often instead, and its answer lets a call try.
   */
  readonly breakDurationMs?: number | undefined;
  /** How long the ramp after the first success takes, in ms. Default 1,000. */
  readonly rampMs?: number | undefined;
  /** Calls that may run at once in the ramp. Default 10. */
  readonly rampConcurrency?: number | undefined;
}

/** What the options of a breaker must be. */
export const breakerShape: Shape<BreakerOptions> = /* @__PURE__ */ shape<BreakerOptions>(() => ({
  consecutiveFailures: wholeNumber(1),
  failureRatio: share(),
  minimumThroughput: wholeNumber(1),
  samplingDurationMs: milliseconds(),
  slowCallMs: milliseconds(),
  slowCallRatio: share(),
  stallMs: milliseconds(),
  breakDurationMs: milliseconds(),
  rampMs: milliseconds(),
  rampConcurrency: wholeNumber(1),
}));

type Phase =
  | { readonly state: "closed" }
  | { readonly state: "open"; readonly until: number }
  | { readonly state: "half-open" }
  | { readonly state: "ramp"; readonly until: number; permits: number };

/** Numbers of a breaker. */
export interface BreakerStats {
  readonly state: BreakerState;
  /** How often it opened. */
  readonly opened: number;
  /** Calls refused while open. */
  readonly refused: number;
  /** Failures in a row, now. */
  readonly consecutiveFailures: number;
}

const DEFAULTS = {
  consecutiveFailures: 5,
  failureRatio: 0.5,
  minimumThroughput: 20,
  samplingDurationMs: 10_000,
  slowCallMs: Number.POSITIVE_INFINITY,
  slowCallRatio: 0.8,
  breakDurationMs: 150,
  rampMs: 1_000,
  rampConcurrency: 10,
};

/** Where the resource is asked without a call, one call may try all the same after so long, in ms: answers may be refused to questions only. */
const UNASKED_TRIAL_MS = 5_000;
/** Where the resource is asked, a refused caller need not wait longer than this, in ms. */
const LONGEST_ASKED_RETRY_MS = 1_000;

/** How a breaker is built into its guard. */
export interface BreakerContext {
  /** What messages speak of. Default: the resource. */
  readonly subject?: string | undefined;
  /** True when somebody asks the resource while it is open, and calls {@link Breaker.tryNow} when it answers. */
  readonly isAsked?: boolean | undefined;
  /** Called when it opens. */
  readonly onOpen?: (() => void) | undefined;
}

/**
 * Stops calls to a dependency that does not answer, and lets them come back gently.
 *
 * It opens on failures in a row, on a share of failures or of slow calls, or when its guard says that calls hang. Then
 * one call at a time tries; the first success begins a ramp of few calls at once. Results of calls that began before
 * the last change are ignored.
 */
export class Breaker {
  readonly #resource: string;
  readonly #subject: string;
  readonly #options: typeof DEFAULTS;
  readonly #window: RollingWindow;
  #phase: Phase = { state: "closed" };
  #generation = 0;
  #isolations = 0;
  #inFlight = 0;
  #consecutive = 0;
  #opened = 0;
  #refused = 0;
  #reason = "";

  readonly #onOpen: (() => void) | undefined;
  readonly #breakMs: number;
  readonly #longestRetryMs: number;

  /** @param resource Name of the resource, for errors and events. */
  constructor(resource: string, options: BreakerOptions = {}, context: BreakerContext = {}) {
    assertShape(resource, breakerShape, options);
    this.#resource = resource;
    this.#subject = context.subject ?? resource;
    this.#onOpen = context.onOpen;
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    this.#options = { ...DEFAULTS, ...given };
    const { breakDurationMs, samplingDurationMs } = this.#options;
    this.#breakMs = context.isAsked === true ? Math.max(UNASKED_TRIAL_MS, breakDurationMs) : breakDurationMs;
    this.#longestRetryMs = context.isAsked === true ? LONGEST_ASKED_RETRY_MS : Number.POSITIVE_INFINITY;
    this.#window = new RollingWindow(samplingDurationMs);
  }

  /** How long it stays open before it is tried or asked, in ms. */
  get breakDurationMs(): number {
    return this.#options.breakDurationMs;
  }

  /** Where it is now. */
  get state(): BreakerState {
    return this.#isolations > 0 ? "isolated" : this.#phase.state;
  }

  /** Why it opened last, for people. */
  get reason(): string {
    return this.#reason;
  }

  /** The current numbers. */
  stats(): BreakerStats {
    return { state: this.state, opened: this.#opened, refused: this.#refused, consecutiveFailures: this.#consecutive };
  }

  /**
   * Asks to let a call through at `now`, in ms.
   *
   * @returns A ticket for {@link succeeded}, {@link failed} or {@link ignored}, or -1 when it is refused: a call costs no object.
   */
  admit(now: number): number {
    if (this.#isolations === 0 && (this.#phase.state === "closed" || this.#tryOne(now))) return this.#generation;
    return this.#refuse();
  }

  #refuse(): number {
    this.#refused++;
    return -1;
  }

  #tryOne(now: number): boolean {
    if (this.#phase.state === "open" && now >= this.#phase.until) this.#enter({ state: "half-open" });
    if (this.#phase.state === "ramp" && now >= this.#phase.until) {
      this.#enter({ state: "closed" });
      return true;
    }
    const permits = this.#phase.state === "ramp" ? this.#phase.permits : this.#phase.state === "half-open" ? 1 : 0;
    if (this.#inFlight >= permits) return false;
    this.#inFlight++;
    return true;
  }

  /** A ticket for what it need not let in, such as a statement in a transaction that it has let in; -1 unless it is closed. */
  get ticket(): number {
    return this.#phase.state === "closed" ? this.#generation : -1;
  }

  /** Whether a call with that ticket was let in since the last change. */
  isCurrent(ticket: number): boolean {
    return ticket === this.#generation;
  }

  /** A call with that ticket gave its first evidence of success. */
  succeeded(ticket: number, now: number, durationMs: number): void {
    if (ticket !== this.#generation) return;
    this.#consecutive = 0;
    const slow = durationMs > this.#options.slowCallMs;
    this.#window.record(now, false, slow);
    if (this.#phase.state !== "closed") this.#progress(now);
    else if (slow && this.#tooMany(this.#window.slow, this.#options.slowCallRatio))
      this.#open(now, `${this.#window.slow} of ${this.#window.total} calls were slow`);
  }

  #progress(now: number): void {
    const phase = this.#phase;
    if (phase.state === "half-open")
      this.#enter({
        state: "ramp",
        until: now + this.#options.rampMs,
        permits: Math.min(2, this.#options.rampConcurrency),
      });
    else if (phase.state === "ramp") {
      this.#inFlight--;
      phase.permits = Math.min(phase.permits * 2, this.#options.rampConcurrency);
    }
  }

  /** A call with that ticket failed with an error that speaks against the dependency. */
  failed(ticket: number, now: number): void {
    if (ticket !== this.#generation) return;
    this.#consecutive++;
    this.#window.record(now, true, false);
    const { consecutiveFailures, failureRatio } = this.#options;
    if (this.#phase.state !== "closed") this.#open(now, "it failed again while recovering");
    else if (this.#consecutive >= consecutiveFailures) this.#open(now, `${this.#consecutive} failures in a row`);
    else if (this.#tooMany(this.#window.failed, failureRatio))
      this.#open(now, `${this.#window.failed} of ${this.#window.total} calls failed`);
  }

  /** A call with that ticket ended with an outcome that says nothing about the dependency, such as an abort by its caller. */
  ignored(ticket: number): void {
    if (ticket === this.#generation && this.#phase.state !== "closed") this.#inFlight--;
  }

  /** Calls in flight hang: it opens. */
  trip(now: number, reason: string): void {
    if (this.#phase.state !== "open") this.#open(now, reason);
  }

  /** Something else than a call has shown that the dependency answers: one call may try at once, whatever became of the last that tried. */
  tryNow(): void {
    if (this.#phase.state === "open" || this.#phase.state === "half-open") this.#enter({ state: "half-open" });
  }

  /** What it goes to was started anew: it lets all through, with nothing counted. An isolation goes on. */
  reset(): void {
    this.#consecutive = 0;
    this.#enter({ state: "closed" });
  }

  /** Refuses all calls until the returned function is called. Isolations add up. */
  isolate(): () => void {
    let held = true;
    this.#isolations++;
    return () => {
      if (held) this.#isolations--;
      held = false;
    };
  }

  /** The error of a call that is refused now. */
  refusal(now: number): StewardError {
    const retryAfterMs =
      this.#phase.state === "open"
        ? Math.min(Math.max(1, Math.ceil(this.#phase.until - now)), this.#longestRetryMs)
        : this.#options.breakDurationMs;
    const why = this.#isolations > 0 ? "isolated by hand" : `the circuit is ${this.#phase.state}: ${this.#reason}`;
    return refusalError(this.#resource, `${this.#subject}: ${why}`, retryAfterMs);
  }

  #tooMany(count: number, ratio: number): boolean {
    return this.#window.total >= this.#options.minimumThroughput && count >= ratio * this.#window.total;
  }

  #open(now: number, reason: string): void {
    this.#reason = reason;
    this.#opened++;
    this.#enter({ state: "open", until: now + withJitter(this.#breakMs) });
    this.#onOpen?.();
  }

  #enter(phase: Phase): void {
    const from = this.#phase.state;
    this.#phase = phase;
    // Within 30 bits, so that V8 keeps it without an object.
    this.#generation = (this.#generation + 1) & 0x3fffffff;
    this.#inFlight = 0;
    this.#window.clear();
    if (phase.state !== from)
      publishBreaker({ resource: this.#resource, subject: this.#subject, from, to: phase.state, reason: this.#reason });
  }
}

/** A fast refusal carries no stack: making one costs more than the refusal, and it would only show this file. */
function refusalError(resource: string, message: string, retryAfterMs: number): StewardError {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return new StewardError("CIRCUIT_OPEN", message, { resource, retryable: true, retryAfterMs });
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
