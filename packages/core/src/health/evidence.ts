import { Breaker } from "../guard/breaker.ts";
import type { Clock, Timer } from "../time/clock.ts";
import { describeError, isStewardError } from "../errors.ts";
import type { EvidenceOwner } from "./evidence-owner.ts";
import { FailureShare } from "../guard/failure-share.ts";
import type { GuardBounds } from "../guard/options.ts";
import type { GuardedUse } from "../guard/guarded-use.ts";
import { Inquiry } from "./inquiry.ts";
import { LatencyHistory } from "../guard/latency.ts";
import { ServiceTime } from "../guard/service-time.ts";
import { UseList } from "../guard/use-list.ts";
import { usualVerdict, type Verdict } from "./verdict.ts";

/** What the calls of one guard show of what they go to. */
export interface GuardEvidence {
  /** When a call last succeeded, in ms of the clock; `-Infinity` when none has. */
  readonly lastSuccessAt: number;
  /** When a call last ended in a way that says something, or one is in flight: now. `-Infinity` before the first. */
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
/** Time without an answer after which calls are suspected to hang, in ms. */
const STALL_MS = 450;
/** Where it can be asked, calls may take this long at most before it is, in ms, however slow answers usually are. */
const LONGEST_STALL_MS = 750;
/** How long the limit for a stall is used before it is computed again, in ms. */
const LIMIT_VALID_MS = 1_000;
/** Time between two looks at a stall, in ms: answers that waited while our own event loop stood still are read meanwhile. */
const SECOND_LOOK_MS = 10;
/** A timer that fires so late shows that our own event loop stood still, in ms. */
const LATE_MS = 50;
/** A question that is refused is asked again until calls have had no answer for so long, in ms. */
const SURE_MS = 1_000;
const ASK_AGAIN_MS = 100;
/** Longest time that an answered question vouches for calls which go on without an answer, in ms. */
const LONGEST_PATIENCE_MS = 30_000;
/** Time between two questions while the breaker is open, in ms, and how fast it grows to that. */
const LONGEST_PAUSE_MS = 1_000;
/** Calls from before an outage that hold all places have this long to get their answer once the resource answers a question, in ms. */
const LAST_WAIT_MS = 1_000;
const PAUSE_GROWTH = 1.2;

/**
 * What real calls show of a resource, with a breaker or without: failures in a row, a share of failures, and calls in
 * flight that get no answer.
 *
 * Silence alone proves nothing, because a healthy server may be slow. So a stall is a suspicion: the resource is asked
 * over `ask`, and only when it does not answer that either does it count as down. Where there is nothing to ask, as
 * many calls as otherwise have to fail must hang.
 */
export class Evidence {
  readonly breaker: Breaker | undefined;
  readonly serviceTime: ServiceTime = new ServiceTime();
  /** When a call last succeeded, in ms of the clock; `-Infinity` when none has. */
  lastSuccessAt: number = Number.NEGATIVE_INFINITY;
  readonly #clock: Clock;
  readonly #options: GuardBounds;
  readonly #owner: EvidenceOwner;
  readonly #inquiry: Inquiry | undefined;
  readonly #latencies: LatencyHistory | undefined;
  readonly #watches: boolean;
  readonly #failuresToOpen: number;
  readonly #stallMs: number;
  /** Attempts that have their place and no answer yet, oldest first. */
  readonly #running = new UseList<GuardedUse>();
  #watch: Timer | undefined = undefined;
  #watchAt = 0;
  #limitMs = 0;
  /** What is long for any call, in ms. */
  #longMs = Number.POSITIVE_INFINITY;
  #limitUntil = Number.NEGATIVE_INFINITY;
  /** An answered question says that calls in flight are slow, not lost: counted from here, and longer each time. */
  #vouchedAt = Number.NEGATIVE_INFINITY;
  #patience = 1;
  /** When the first answer came to a question since a call last succeeded. */
  #answeredSince = Number.NEGATIVE_INFINITY;
  #renewedAt = Number.NEGATIVE_INFINITY;
  /** When a question was last not answered: calls that sat through that show nothing of what answers take. */
  #unansweredAt = Number.NEGATIVE_INFINITY;
  #recovery: Timer | undefined = undefined;
  #lastWait: Timer | undefined = undefined;
  #pauseMs = 0;
  /** True while something speaks against the resource, so that a success has something to clear. */
  #isTroubled = false;
  #failures = 0;
  #badAnswers = 0;
  #failingSince = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;
  #error: unknown = undefined;
  #silence = "";
  #isAsking = false;
  #isStopped = false;
  readonly #failed = new FailureShare();
  readonly #degraded = new FailureShare();

  constructor(options: GuardBounds, owner: EvidenceOwner) {
    this.#options = options;
    this.#owner = owner;
    this.#clock = options.clock;
    const { breaker, ask, resource, subject } = options;
    this.#watches = breaker !== undefined || ask !== undefined;
    this.#inquiry = ask === undefined ? undefined : new Inquiry(this.#clock, ask, options.askTimeoutMs ?? 1_000);
    this.#failuresToOpen = breaker?.consecutiveFailures ?? FAILURES;
    this.#stallMs = breaker?.stallMs ?? STALL_MS;
    if (breaker === undefined) return;
    this.#latencies = new LatencyHistory();
    this.breaker = new Breaker(resource, breaker, {
      subject,
      isAsked: ask !== undefined,
      onOpen: () => this.#opened(),
    });
  }

  /** An attempt has its place. */
  began(use: GuardedUse, now: number): void {
    this.#running.push(use);
    if (this.#watch !== undefined || !this.#watches) return;
    this.#isStopped = false;
    this.#watchIn(this.#stallMs, now);
  }

  /** What stands for an attempt that no breaker had to let in; -1 where its outcome counts for none. */
  get ticket(): number {
    return this.breaker?.ticket ?? -1;
  }

  /** An attempt says nothing from here on. */
  withdrawn(use: GuardedUse): void {
    this.#running.remove(use);
    this.breaker?.ignored(use.ticket);
  }

  /** An attempt gave its first evidence, after `tookMs`. `succeeded` counts all successes of the guard so far. */
  ended(use: GuardedUse, now: number, tookMs: number, error: unknown, succeeded: number): void {
    this.#running.remove(use);
    const { ticket } = use;
    if (error === undefined) {
      this.lastSuccessAt = now;
      this.serviceTime.record(tookMs);
      if (this.#isTroubled) this.#clear();
      if (this.breaker === undefined) return;
      if ((use.startedAt ?? now) > this.#unansweredAt) this.#latencies?.record(tookMs, now);
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
    this.#failed.count(now, succeeded);
    // It is believed once: what begins after its answer and fails counts, until a call has succeeded.
    const mayAsk = this.#inquiry !== undefined && this.#answeredSince <= this.lastSuccessAt;
    const isSameIncident = !isFirst && mayAsk && startedAt < this.#failingSince;
    if (isSameIncident) this.breaker?.ignored(ticket);
    else this.breaker?.failed(ticket, now);
    const isMany = this.#failures >= this.#failuresToOpen;
    if (isSameIncident && isMany && this.breaker?.state === "closed") void this.#confirm(now, this.#failingSince);
    if (isFirst || isMany || this.#failed.isTooLarge) this.#options.onEvidence?.();
  }

  #answerBadly(now: number, error: unknown, succeeded: number, ticket: number, tookMs: number): void {
    const isFirst = !this.#isTroubled;
    this.#isTroubled = true;
    this.#failures = 0;
    this.#badAnswers++;
    this.#error = error;
    this.#degraded.count(now, succeeded);
    this.breaker?.succeeded(ticket, now, tookMs);
    if (isFirst || this.#badAnswers === FAILURES || this.#degraded.isTooLarge) this.#options.onEvidence?.();
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
    this.#vouchedAt = now;
    this.#clear();
    this.breaker?.tryNow();
  }

  /** Connections were replaced: what calls on the old ones showed, or come to show, no longer counts. */
  renewed(): void {
    this.#renewedAt = this.#vouchedAt = this.#clock.now();
    this.#degraded.forget();
    this.#clear();
    this.breaker?.tryNow();
  }

  /** What all this says at `now`. */
  at(now: number): GuardEvidence {
    const first = this.#running.first;
    return {
      lastSuccessAt: this.lastSuccessAt,
      activeAt: first === undefined ? Math.max(this.lastSuccessAt, this.#failedAt, this.#degraded.countedAt) : now,
      failing: this.#failing(now),
      degraded:
        this.#badAnswers >= FAILURES || this.#degraded.counts(now)
          ? `it answers badly: ${describeError(this.#error)}`
          : "",
      isSuspect: this.#isTroubled || this.#isAsking,
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

  #watchIn(ms: number, now: number): void {
    if (this.#isStopped) return;
    this.#watchAt = now + ms;
    this.#watch = this.#clock.setTimeout(() => this.#look(), ms, { unref: true });
  }

  #look(): void {
    this.#watch = undefined;
    const now = this.#clock.now();
    if (this.#running.first === undefined) return;
    // Answers that came while this process stood still are read before a stall is seen in them.
    if (now - this.#watchAt > LATE_MS) return this.#watchIn(SECOND_LOOK_MS, now);
    const oldest = this.#unanswered();
    // While it is open, only an answer to a question or a call that tries can tell anything new.
    if (oldest === undefined || this.#isAsking || this.breaker?.state === "open")
      return this.#watchIn(this.#stallMs, now);
    if (this.lastSuccessAt > this.#vouchedAt) this.#patience = 1;
    const quietMs = now - Math.max(oldest.startedAt ?? now, this.#vouchedAt);
    const limitMs = this.#limit(now) * this.#patience;
    if (limitMs === Number.POSITIVE_INFINITY) return this.#watchIn(this.#stallMs, now);
    if (quietMs <= limitMs) return this.#watchIn(Math.max(SECOND_LOOK_MS, limitMs - quietMs), now);
    if (this.#inquiry !== undefined) return void this.#confirm(now, oldest.startedAt ?? now);
    const hangsInMs = this.#hangingSince(oldest) + Math.min(limitMs, this.#longMs) - now;
    if (hangsInMs < 0) this.#fallSilent(now, quietMs, "");
    this.#watchIn(hangsInMs < 0 ? limitMs : Math.min(limitMs, Math.max(SECOND_LOOK_MS, hangsInMs)), now);
  }

  /** The oldest attempt in flight behind whose begin nothing was answered: one that others have overtaken is only slow. */
  #unanswered(): GuardedUse | undefined {
    let use = this.#running.first;
    while (use !== undefined && (use.startedAt ?? 0) <= this.lastSuccessAt) use = use.behind;
    return use;
  }

  #limit(now: number): number {
    if (now < this.#limitUntil) return this.#limitMs;
    const p99 = this.#latencies?.quantile(0.99);
    this.#limitUntil = now + LIMIT_VALID_MS;
    this.#longMs = p99 === undefined ? Number.POSITIVE_INFINITY : 3 * p99;
    // Without latencies nothing says what is long: then only an answer to a question can show it.
    if (this.#inquiry === undefined) return (this.#limitMs = Math.max(this.#stallMs, this.#longMs));
    return (this.#limitMs = Math.max(this.#stallMs, Math.min(LONGEST_STALL_MS, 3 * (p99 ?? 0))));
  }

  /** Since when as many calls hang as otherwise have to fail, in ms of the clock; `Infinity` when there are fewer. */
  #hangingSince(oldest: GuardedUse): number {
    let use: GuardedUse | undefined = oldest;
    for (let i = 1; i < this.#failuresToOpen && use !== undefined; i++) use = use.behind;
    return use?.startedAt ?? Number.POSITIVE_INFINITY;
  }

  /** Asks whether calls that get no answer since `since`, or failed together, mean that the resource is down. */
  async #confirm(now: number, since: number): Promise<void> {
    if (this.#isAsking || this.#inquiry === undefined) return;
    this.#isAsking = true;
    this.#options.onEvidence?.();
    let reason = await this.#question(this.#inquiry);
    // A server that restarts refuses for a moment: calls that can wait for it are better off.
    while (reason !== undefined && this.#clock.now() - since < SURE_MS && this.lastSuccessAt < now) {
      await new Promise<void>((resolve) => this.#clock.setTimeout(resolve, ASK_AGAIN_MS, { unref: true }));
      if (this.#options.refusal?.() !== undefined) break;
      reason = await this.#question(this.#inquiry);
    }
    this.#isAsking = false;
    const then = this.#clock.now();
    if (reason === undefined) this.#vouch(then);
    else if (this.lastSuccessAt < now) this.#fallSilent(then, then - since, describeError(reason));
    if (this.#watch === undefined && this.#running.first !== undefined) this.#watchIn(this.#stallMs, then);
  }

  async #question(inquiry: Inquiry): Promise<unknown> {
    const reason = await inquiry.answer();
    if (reason !== undefined) this.#unansweredAt = this.#clock.now();
    return reason;
  }

  #vouch(now: number): void {
    if (this.#answeredSince <= this.lastSuccessAt) this.#answeredSince = now;
    this.#vouchedAt = now;
    this.#patience = Math.max(1, Math.min(this.#patience * 2, LONGEST_PATIENCE_MS / this.#limitMs));
    if (this.breaker?.state === "half-open" || this.#isTroubled) this.answered();
  }

  #fallSilent(now: number, quietMs: number, answer: string): void {
    const why = answer === "" ? "" : `, and a question was not answered: ${answer}`;
    this.#silence = `no call succeeded for ${Math.round(quietMs)} ms while calls were in flight${why}`;
    this.#isTroubled = true;
    this.breaker?.trip(now, this.#silence);
    this.#options.onEvidence?.();
  }

  #opened(): void {
    this.#owner.opened(this.#running.filter((use) => use.isAcquiring));
    this.#options.onEvidence?.();
    if (this.#inquiry === undefined || this.#recovery !== undefined) return;
    this.#pauseMs = this.breaker?.breakDurationMs ?? 0;
    this.#askLater(this.#inquiry);
  }

  /** While the breaker is open no call is risked: the resource is asked, and the first answer lets a call try. */
  #askLater(inquiry: Inquiry): void {
    if (this.#isStopped) return;
    const pauseMs = this.#pauseMs * (0.8 + Math.random() * 0.4);
    this.#pauseMs = Math.max(this.#pauseMs, Math.min(LONGEST_PAUSE_MS, this.#pauseMs * PAUSE_GROWTH));
    this.#recovery = this.#clock.setTimeout(() => void this.#askNow(inquiry), pauseMs, { unref: true });
  }

  async #askNow(inquiry: Inquiry): Promise<void> {
    const asked = this.#recovery;
    // While it takes no calls for another reason there is nothing to ask for.
    const isRefused = this.#options.refusal?.() !== undefined;
    const reason = isRefused ? undefined : await this.#question(inquiry);
    if (this.#recovery !== asked) return; // it was stopped
    this.#recovery = undefined;
    if (this.breaker?.state !== "open") return;
    if (isRefused || reason !== undefined) return this.#askLater(inquiry);
    this.answered();
    this.#makeRoom();
  }

  /** Calls whose connections died in the outage may hold all places until their deadlines, and keep out the one that tries. */
  #makeRoom(): void {
    const from = this.#clock.now();
    const giveUp = (): void => {
      if (this.breaker?.state !== "half-open" || !this.#owner.isFull) return;
      for (const use of this.#running.filter(({ startedAt = from }) => startedAt < from)) use.expire();
    };
    this.#lastWait?.cancel();
    this.#lastWait = this.#clock.setTimeout(giveUp, LAST_WAIT_MS, { unref: true });
  }

  /** Ends all timers, until the next attempt begins. */
  stop(): void {
    this.#isStopped = true;
    this.#watch?.cancel();
    this.#recovery?.cancel();
    this.#lastWait?.cancel();
    this.#watch = this.#recovery = this.#lastWait = undefined;
  }
}
