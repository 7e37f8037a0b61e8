import type { Breaker } from "../guard/breaker.ts";
import type { Clock, Timer } from "../time/clock.ts";
import { describeError } from "../errors.ts";
import type { GuardBounds } from "../guard/options.ts";
import type { GuardedUse } from "../guard/guarded-use.ts";
import type { Inquiry } from "./inquiry.ts";
import type { LatencyHistory } from "../guard/latency.ts";
import type { UseList } from "../guard/use-list.ts";

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

/** Whose calls in flight are watched. */
export interface Watched {
  readonly breaker: Breaker | undefined;
  /** Attempts that have their place and no answer yet, oldest first. */
  readonly running: UseList<GuardedUse>;
  /** When a call last succeeded, in ms of the clock; `-Infinity` when none has. */
  readonly lastSuccessAt: number;
  /** True while no timer may begin. */
  readonly isStopped: boolean;
  /** A question was answered. */
  vouched(now: number): void;
  /** Calls in flight have had no answer for `quietMs`, and `answer` is what came of a question, where there was one. */
  fellSilent(now: number, quietMs: number, answer: string): void;
}

/**
 * Watches for calls in flight that get no answer.
 *
 * Silence alone proves nothing, because a healthy server may be slow. So a stall is a suspicion: the resource is asked
 * over `ask`, and only when it does not answer that either does it count as down. Where there is nothing to ask, as many calls as
 * otherwise have to fail must hang.
 */
export class StallWatch {
  readonly #clock: Clock;
  readonly #options: GuardBounds;
  readonly #owner: Watched;
  readonly #failuresToOpen: number;
  readonly #inquiry: Inquiry | undefined;
  readonly #latencies: LatencyHistory | undefined;
  readonly #stallMs: number;
  #timer: Timer | undefined = undefined;
  #lookAt = 0;
  #limitMs = 0;
  /** What is long for any call, in ms. */
  #longMs = Number.POSITIVE_INFINITY;
  #limitUntil = Number.NEGATIVE_INFINITY;
  /** An answered question says that calls in flight are slow, not lost: counted from here, and longer each time. */
  #vouchedAt = Number.NEGATIVE_INFINITY;
  #patience = 1;
  #isAsking = false;

  constructor(
    options: GuardBounds,
    owner: Watched,
    failuresToOpen: number,
    inquiry: Inquiry | undefined,
    latencies: LatencyHistory | undefined,
  ) {
    this.#clock = options.clock;
    this.#options = options;
    this.#owner = owner;
    this.#failuresToOpen = failuresToOpen;
    this.#inquiry = inquiry;
    this.#latencies = latencies;
    const { breaker = false } = options;
    this.#stallMs = (breaker === false ? undefined : breaker.stallMs) ?? STALL_MS;
  }

  /** True from {@link begin} until nothing is in flight. */
  get isWatching(): boolean {
    return this.#timer !== undefined;
  }

  /** True while a suspicion is looked into. */
  get isAsking(): boolean {
    return this.#isAsking;
  }

  begin(now: number): void {
    this.#lookIn(this.#stallMs, now);
  }

  /** The resource has shown that it answers: silence counts from here. */
  vouch(now: number): void {
    this.#vouchedAt = now;
  }

  #lookIn(ms: number, now: number): void {
    if (this.#owner.isStopped) return;
    this.#lookAt = now + ms;
    this.#timer = this.#clock.setTimeout(() => this.#look(), ms, { unref: true });
  }

  #look(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    const { running, breaker, lastSuccessAt } = this.#owner;
    if (running.first === undefined) return;
    // Answers that came while this process stood still are read before a stall is seen in them.
    if (now - this.#lookAt > LATE_MS) return this.#lookIn(SECOND_LOOK_MS, now);
    const oldest = this.#unanswered();
    // While it is open, only an answer to a question or a call that tries can show anything new.
    if (oldest === undefined || this.#isAsking || breaker?.state === "open") return this.#lookIn(this.#stallMs, now);
    if (lastSuccessAt > this.#vouchedAt) this.#patience = 1;
    const quietMs = now - Math.max(oldest.startedAt ?? now, this.#vouchedAt);
    const limitMs = this.#limit(now) * this.#patience;
    if (limitMs === Number.POSITIVE_INFINITY) return this.#lookIn(this.#stallMs, now);
    if (quietMs <= limitMs) return this.#lookIn(Math.max(SECOND_LOOK_MS, limitMs - quietMs), now);
    if (this.#inquiry !== undefined) return void this.confirm(now, oldest.startedAt ?? now);
    const hangsInMs = this.#hangingSince(oldest) + Math.min(limitMs, this.#longMs) - now;
    if (hangsInMs < 0) this.#owner.fellSilent(now, quietMs, "");
    this.#lookIn(hangsInMs < 0 ? limitMs : Math.min(limitMs, Math.max(SECOND_LOOK_MS, hangsInMs)), now);
  }

  /** The oldest attempt in flight behind whose begin nothing was answered: one that others have overtaken is only slow. */
  #unanswered(): GuardedUse | undefined {
    const { running, lastSuccessAt } = this.#owner;
    let use = running.first;
    while (use !== undefined && (use.startedAt ?? 0) <= lastSuccessAt) use = use.behind;
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
  async confirm(now: number, since: number): Promise<void> {
    if (this.#isAsking || this.#inquiry === undefined) return;
    this.#isAsking = true;
    this.#options.onEvidence?.();
    // A call, a start or something else may show meanwhile that the resource answers.
    const isSilent = (): boolean => Math.max(this.#owner.lastSuccessAt, this.#vouchedAt) < now;
    let reason = await this.#inquiry.answer();
    // A server that restarts refuses for a moment: calls that can wait for it are better off.
    while (reason !== undefined && this.#clock.now() - since < SURE_MS && isSilent()) {
      await new Promise<void>((resolve) => this.#clock.setTimeout(resolve, ASK_AGAIN_MS, { unref: true }));
      if (this.#options.refusal?.() !== undefined) break;
      reason = await this.#inquiry.answer();
    }
    this.#isAsking = false;
    const then = this.#clock.now();
    if (reason === undefined) this.#answered(then);
    else if (isSilent()) this.#owner.fellSilent(then, then - since, describeError(reason));
    if (this.#timer === undefined && this.#owner.running.first !== undefined) this.#lookIn(this.#stallMs, then);
  }

  /** Silence is forgiven from here on, and longer each time. */
  #answered(now: number): void {
    this.vouch(now);
    this.#patience = Math.max(1, Math.min(this.#patience * 2, LONGEST_PATIENCE_MS / this.#limitMs));
    this.#owner.vouched(now);
  }

  /** Ends its timer. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
