import { Breaker } from "../guard/breaker.ts";
import type { Clock } from "../time/clock.ts";
import { describeError, isStewardError } from "../errors.ts";
import type { EvidenceOwner } from "./evidence-owner.ts";
import { FailureShare } from "./failure-share.ts";
import type { GuardBounds } from "../guard/options.ts";
import type { GuardedUse } from "../guard/guarded-use.ts";
import { Inquiry } from "./inquiry.ts";
import { LatencyHistory } from "../guard/latency.ts";
import { Recovery, type Recovering } from "./recovery.ts";
import { ServiceTime } from "../guard/service-time.ts";
import { StallWatch, type Watched } from "./stall-watch.ts";
import { UseList } from "../guard/use-list.ts";
import { usualVerdict, type Verdict } from "./verdict.ts";

/** What the calls of one guard show of what they go to. */
export interface GuardEvidence {
  /** When a call last succeeded, in ms of the clock; `-Infinity` when none has. */
  readonly lastSuccessAt: number;
  /** When a call last ended with an outcome that says something, or one is in flight: now. `-Infinity` before the first. */
  readonly activeAt: number;
  /** Why it counts as not answering; empty when it answers. */
  readonly failing: string;
  /** Why it counts as answering badly; empty when it does not. */
  readonly degraded: string;
  /** A call failed or hangs, and none has succeeded since. */
  readonly isSuspect: boolean;
}

/** Failures in a row that count as an outage where no breaker says otherwise. */
const FAILURES = 5;

/**
 * What real calls show of a resource, with a breaker or without: failures in a row, a share of failures, and calls in
 * flight that get no answer.
 */
export class Evidence implements Watched, Recovering {
  readonly breaker: Breaker | undefined;
  readonly serviceTime: ServiceTime = new ServiceTime();
  /** When a call last succeeded, in ms of the clock; `-Infinity` when none has. */
  lastSuccessAt: number = Number.NEGATIVE_INFINITY;
  /** Attempts that have their place and no answer yet, oldest first. */
  readonly running: UseList<GuardedUse> = new UseList();
  /** From {@link stop} until the next attempt begins no timer runs. */
  isStopped = false;
  readonly #clock: Clock;
  readonly #options: GuardBounds;
  readonly #owner: EvidenceOwner;
  readonly #inquiry: Inquiry | undefined;
  readonly #latencies: LatencyHistory | undefined;
  readonly #stalls: StallWatch | undefined;
  readonly #recovery: Recovery | undefined;
  readonly #failuresToOpen: number;
  /** When the first answer came to a question since a call last succeeded. */
  #answeredSince = Number.NEGATIVE_INFINITY;
  #renewedAt = Number.NEGATIVE_INFINITY;
  /** True while something speaks against the resource, so that a success has something to clear. */
  #isTroubled = false;
  #failures = 0;
  #badAnswers = 0;
  #failingSince = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;
  #error: unknown = undefined;
  #silence = "";
  readonly #failed = new FailureShare();
  readonly #degraded = new FailureShare();

  constructor(options: GuardBounds, owner: EvidenceOwner) {
    this.#options = options;
    this.#owner = owner;
    this.#clock = options.clock;
    const { ask, resource, subject } = options;
    const breaker = options.breaker === false ? undefined : options.breaker;
    this.#failuresToOpen = breaker?.consecutiveFailures ?? FAILURES;
    this.#inquiry = ask === undefined ? undefined : new Inquiry(this.#clock, ask, options.askTimeoutMs ?? 1_000);
    this.#latencies = breaker === undefined ? undefined : new LatencyHistory();
    if (breaker !== undefined || ask !== undefined)
      this.#stalls = new StallWatch(options, this, this.#failuresToOpen, this.#inquiry, this.#latencies);
    if (breaker === undefined) return;
    const context = { subject, isAsked: ask !== undefined, onOpen: () => this.#opened() };
    this.breaker = new Breaker(resource, breaker, context);
    if (this.#inquiry !== undefined) this.#recovery = new Recovery(options, this, this.#inquiry, this.breaker);
  }

  /** An attempt has its place. */
  began(use: GuardedUse, now: number): void {
    this.running.push(use);
    if (this.#stalls === undefined || this.#stalls.isWatching) return;
    this.isStopped = false;
    this.#stalls.begin(now);
  }

  /** What stands for an attempt that no breaker had to let in; -1 where its outcome counts for none. */
  get ticket(): number {
    return this.breaker?.ticket ?? -1;
  }

  /** An attempt says nothing from here on. */
  withdrawn(use: GuardedUse): void {
    this.running.remove(use);
    this.breaker?.ignored(use.ticket);
  }

  /** An attempt gave its first evidence, after `tookMs`. `succeeded` counts all successes of the guard so far. */
  ended(use: GuardedUse, now: number, tookMs: number, error: unknown, succeeded: number): void {
    this.running.remove(use);
    const { ticket } = use;
    if (error === undefined) {
      this.lastSuccessAt = now;
      this.serviceTime.record(tookMs);
      if (this.#isTroubled) this.#clear();
      if (this.breaker === undefined) return;
      // Calls that sat through an outage show nothing of what answers take.
      if (this.#inquiry === undefined || (use.startedAt ?? now) > this.#inquiry.unansweredAt)
        this.#latencies?.record(tookMs, now);
      this.breaker.succeeded(ticket, now, tookMs);
      return;
    }
    const verdict = this.#judge(error, tookMs);
    if (verdict === "failure") this.#fail(use, now, error, succeeded);
    else if (verdict === "degraded") this.#answerBadly(now, error, succeeded, ticket, tookMs);
    else this.breaker?.ignored(ticket);
  }

  /** What an outcome says. A call that had less time than an answer usually takes says nothing about the resource. */
  #judge(error: unknown, tookMs: number): Verdict {
    if (isStewardError(error, "DEADLINE_EXCEEDED") && tookMs < 2 * this.serviceTime.usualMs) return "none";
    return this.verdictOn(error);
  }

  /** What an error says about the resource. */
  verdictOn(error: unknown): Verdict {
    return (this.#options.judge ?? usualVerdict)(error);
  }

  /**
   * Calls that were in flight together fail together: where the resource can be asked, one incident (a connection that
   * broke under all of them) is no outage. And since a call began the resource may have answered otherwise.
   */
  #fail(use: GuardedUse, now: number, error: unknown, succeeded: number): void {
    const { ticket, startedAt = now } = use;
    // What began before the last change of the breaker is old news.
    if (this.breaker?.isCurrent(ticket) === false) return;
    if (startedAt < Math.max(this.#answeredSince, this.#renewedAt)) return this.breaker?.ignored(ticket);
    const isFirst = this.#failures === 0;
    if (isFirst) this.#failingSince = now;
    this.#isTroubled = true;
    this.#failures++;
    this.#failedAt = now;
    this.#error = error;
    const isMost = this.#failed.count(now, succeeded);
    // It is believed once: what begins after its answer and fails counts, until a call has succeeded.
    const mayAsk = this.#inquiry !== undefined && this.#answeredSince <= this.lastSuccessAt;
    const isSameIncident = !isFirst && mayAsk && startedAt < this.#failingSince;
    if (isSameIncident) this.breaker?.ignored(ticket);
    else this.breaker?.failed(ticket, now);
    const isMany = this.#failures >= this.#failuresToOpen;
    if (isSameIncident && isMany && this.breaker?.state === "closed")
      void this.#stalls?.confirm(now, this.#failingSince);
    if (isFirst || isMany || isMost) this.#options.onEvidence?.();
  }

  #answerBadly(now: number, error: unknown, succeeded: number, ticket: number, tookMs: number): void {
    const isFirst = !this.#isTroubled;
    this.#isTroubled = true;
    this.#failures = 0;
    this.#badAnswers++;
    this.#error = error;
    const isMost = this.#degraded.count(now, succeeded);
    this.breaker?.succeeded(ticket, now, tookMs);
    if (isFirst || this.#badAnswers === FAILURES || isMost) this.#options.onEvidence?.();
  }

  #clear(): void {
    const wasFailing = this.#failures >= this.#failuresToOpen || this.#badAnswers >= FAILURES || this.#silence !== "";
    if (wasFailing) this.#failed.forget();
    this.#isTroubled = false;
    this.#failures = this.#badAnswers = 0;
    this.#silence = "";
    if (wasFailing) this.#options.onEvidence?.();
  }

  /** Something else than a call has shown that the resource answers: what speaks against it is forgotten, and one call may try. */
  answered(): void {
    const now = this.#clock.now();
    if (this.#isTroubled && this.#answeredSince <= this.lastSuccessAt) this.#answeredSince = now;
    this.#stalls?.vouch(now);
    this.#clear();
    this.breaker?.tryNow();
  }

  /** A question was answered: calls in flight are slow, not lost. */
  vouched(now: number): void {
    if (this.#answeredSince <= this.lastSuccessAt) this.#answeredSince = now;
    if (this.breaker?.state === "half-open" || this.#isTroubled) this.answered();
  }

  /** Calls in flight have had no answer for `quietMs`, and `answer` is what came of a question, where there was one. */
  fellSilent(now: number, quietMs: number, answer: string): void {
    const why = answer === "" ? "" : `, and a question was not answered: ${answer}`;
    this.#silence = `no call succeeded for ${Math.round(quietMs)} ms while calls were in flight${why}`;
    this.#isTroubled = true;
    this.breaker?.trip(now, this.#silence);
    this.#options.onEvidence?.();
  }

  #opened(): void {
    this.#owner.opened(this.running.filter((use) => use.isAcquiring));
    this.#options.onEvidence?.();
    this.#recovery?.begin();
  }

  /** Connections were replaced: what calls on the old ones showed, or come to show, no longer counts. */
  renewed(): void {
    this.#forget();
    this.breaker?.tryNow();
  }

  /** It was started anew, and so it answers: what calls showed, or come to show, of how it was before no longer counts. */
  started(): void {
    this.#forget();
    this.breaker?.reset();
  }

  #forget(): void {
    this.#renewedAt = this.#clock.now();
    this.#stalls?.vouch(this.#renewedAt);
    this.#failed.forget();
    this.#degraded.forget();
    this.#clear();
  }

  /** What all this says at `now`. */
  at(now: number): GuardEvidence {
    const first = this.running.first;
    return {
      lastSuccessAt: this.lastSuccessAt,
      activeAt: first === undefined ? Math.max(this.lastSuccessAt, this.#failedAt, this.#degraded.countedAt) : now,
      failing: this.#failing(now),
      degraded:
        this.#badAnswers >= FAILURES || this.#degraded.counts(now)
          ? `it answers badly: ${describeError(this.#error)}`
          : "",
      isSuspect: this.#isTroubled || this.#stalls?.isAsking === true,
    };
  }

  #failing(now: number): string {
    const state = this.breaker?.state;
    if (state === "isolated") return "isolated by hand";
    if (state === "open") return this.breaker?.reason ?? "";
    if (this.#silence !== "") return this.#silence;
    if (this.#failures >= this.#failuresToOpen)
      return `${this.#failures} calls in a row failed: ${describeError(this.#error)}`;
    return this.#failed.counts(now) ? `most calls fail: ${describeError(this.#error)}` : "";
  }

  /** Ends all timers, until the next attempt begins. */
  stop(): void {
    this.isStopped = true;
    this.#stalls?.stop();
    this.#recovery?.stop();
  }

  /** True when no call could begin now. */
  get isFull(): boolean {
    return this.#owner.isFull;
  }
}
