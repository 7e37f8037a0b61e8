import { describeError } from "../errors.ts";
import type { Guard } from "../guard/guard.ts";
import type { HealthStatus } from "./status.ts";

/** Numbers of the calls of a resource since it was made. */
export interface CallSummary {
  /** Calls that got a place. */
  readonly started: number;
  readonly failed: number;
  /** Calls that run now. */
  readonly inUse: number;
  /** The most that ran at once; where calls go to several servers, the sum of the most at each. */
  readonly peakInUse: number;
  /** How many may run at once, all servers together; `undefined` where there is no bound. */
  readonly maxConcurrent: number | undefined;
  /** How long a call took on average, in ms; `undefined` where there was none. */
  readonly meanMs: number | undefined;
}

/** What real calls show of a resource, without asking it. */
export interface PassiveEvidence {
  /** When a call last succeeded, in ms of the clock; `-Infinity` when none has. */
  readonly lastSuccessAt: number;
  /** Share of what calls go to (one server, several origins, several sessions) that does not answer, 0 to 1. */
  readonly failingRatio: number;
  /** Share of it that answers badly, 0 to 1. */
  readonly degradedRatio: number;
  /** Why; empty when all is well. */
  readonly reason: string;
  /** A call failed or hangs, and none has succeeded since. */
  readonly isSuspect: boolean;
}

/** A guard whose last call is older than this has no say, in ms: no one knows how that part is now. */
const RECENT_MS = 60_000;

/** What several guards show together: of those that were used in the last minute. */
export function evidenceOf(guards: Iterable<Guard>, now: number): PassiveEvidence {
  let [lastSuccessAt, failing, degraded, all, isSuspect] = [Number.NEGATIVE_INFINITY, 0, 0, 0, false];
  let reason = "";
  for (const guard of guards) {
    const evidence = guard.evidence;
    lastSuccessAt = Math.max(lastSuccessAt, evidence.lastSuccessAt);
    if (evidence.failing === "" && now - evidence.activeAt > RECENT_MS) continue;
    all++;
    isSuspect ||= evidence.isSuspect;
    if (evidence.failing !== "") failing++;
    else if (evidence.degraded !== "") degraded++;
    reason = evidence.failing || reason || evidence.degraded;
  }
  const of = Math.max(1, all);
  return { lastSuccessAt, failingRatio: failing / of, degradedRatio: degraded / of, reason, isSuspect };
}

/** Numbers of the calls of several guards together; `undefined` where there is none. */
export function callsOf(guards: Iterable<Guard>): CallSummary | undefined {
  const sums = { started: 0, failed: 0, inUse: 0, peakInUse: 0, maxConcurrent: 0, ended: 0, seconds: 0 };
  let isAny = false;
  for (const guard of guards) {
    guard.addTo(sums);
    isAny = true;
  }
  if (!isAny) return undefined;
  const { ended, seconds, maxConcurrent, ...counts } = sums;
  return {
    ...counts,
    maxConcurrent: maxConcurrent === Number.POSITIVE_INFINITY ? undefined : maxConcurrent,
    meanMs: ended === 0 ? undefined : (seconds / ended) * 1_000,
  };
}

/** The health of one resource, with what it rests on. */
export interface Health {
  readonly status: HealthStatus;
  /** Since when it has this status, in ms of the clock. */
  readonly since: number;
  /** Why it is not healthy; empty when it is. */
  readonly reason: string;
  /** What the status rests on: probes, real calls, or nothing yet. */
  readonly evidence: "none" | "active" | "passive" | "damped";
  /** Probes in a row that failed. */
  readonly failures: number;
}

/** How much evidence changes a status. */
export interface HealthThresholds {
  /** Probes in a row that have to fail until a resource counts as unhealthy. 1 or more. Default 3. */
  readonly unhealthyAfter?: number | undefined;
  /** Probes in a row that have to be answered until it counts as healthy again. 1 or more. Default 2. */
  readonly healthyAfter?: number | undefined;
  /** How often it may become unhealthy, with a half-life of a minute, before it is held at degraded. Default 3. */
  readonly flapThreshold?: number | undefined;
}

/** How the health of one resource is watched, where it differs from the rest of its container. */
export interface HealthSettings extends Pick<HealthThresholds, "unhealthyAfter" | "healthyAfter"> {
  /** Time between two probes while it is well, in ms, 20 % more or less. Default 10,000. */
  readonly intervalMs?: number | undefined;
  /** Longest probe, in ms. Default 1,000. */
  readonly timeoutMs?: number | undefined;
}

const DEFAULTS = { unhealthyAfter: 3, healthyAfter: 2, flapThreshold: 3 };
/** Two looks at real calls that count as two answers lie at least so far apart, in ms. */
const ANSWER_EVERY_MS = 250;
const FLAP_HALF_LIFE_MS = 60_000;
const HOLD_MS = 5_000;
const LONGEST_HOLD_MS = 300_000;

/**
 * Turns evidence into a status that does not flap: several failures to fall, several successes to rise, and a
 * resource that keeps changing is held at degraded for a while.
 *
 * Real calls that fail in a row, or get no answer, are evidence enough to fall at once; when they succeed again, that
 * counts as an answer. A fall that probes have shown needs probes to rise.
 */
export class HealthTracker {
  readonly #thresholds: typeof DEFAULTS;
  #health: Health;
  #failures = 0;
  #successes = 0;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #penalty = 0;
  #penaltyAt: number;
  #heldUntil = Number.NEGATIVE_INFINITY;

  /** @param now The present, in ms. */
  constructor(now: number, thresholds: HealthThresholds = {}) {
    this.#thresholds = {
      unhealthyAfter: thresholds.unhealthyAfter ?? DEFAULTS.unhealthyAfter,
      healthyAfter: thresholds.healthyAfter ?? DEFAULTS.healthyAfter,
      flapThreshold: thresholds.flapThreshold ?? DEFAULTS.flapThreshold,
    };
    this.#penaltyAt = now;
    this.#health = { status: "unknown", since: now, reason: "not asked yet", evidence: "none", failures: 0 };
  }

  /** The current health. */
  get health(): Health {
    return this.#health;
  }

  /** True while the status rests on less than the thresholds ask for, so that the next probe should come soon. */
  get isSuspect(): boolean {
    return (
      this.#failures > 0 ||
      this.#health.status === "unknown" ||
      this.#health.status === "unhealthy" ||
      this.#health.evidence === "damped"
    );
  }

  /** A start that succeeded is a sign of life: the first status is healthy. */
  started(now: number): void {
    if (this.#health.status === "unknown") this.#become(now, "healthy", "", "active");
  }

  /** A probe was answered. Whether the status changed. */
  answered(now: number): boolean {
    this.#failures = 0;
    this.#successes++;
    const { status } = this.#health;
    if (status === "healthy" || (status !== "unknown" && this.#successes < this.#thresholds.healthyAfter)) return false;
    if (now < this.#heldUntil)
      return this.#become(
        now,
        "degraded",
        `it recovered but keeps changing; healthy in ${Math.ceil((this.#heldUntil - now) / 1_000)} s if it stays so`,
        "damped",
      );
    return this.#become(now, "healthy", "", "active");
  }

  /** A probe failed. Whether the status changed. */
  failed(now: number, error: unknown): boolean {
    this.#successes = 0;
    this.#failures++;
    if (this.#failures < this.#thresholds.unhealthyAfter) return false;
    return this.#fall(now, `${this.#failures} probes in a row failed: ${describeError(error)}`, "active");
  }

  /** Looks at what real calls show. Whether the status changed. */
  observed(now: number, evidence: PassiveEvidence): boolean {
    const { failingRatio, degradedRatio, reason, lastSuccessAt } = evidence;
    if (failingRatio >= 1) return this.#fall(now, reason, "passive");
    const isPartly = failingRatio + degradedRatio > 0;
    const { status, evidence: basis, since } = this.#health;
    if (status === "unhealthy" && basis === "passive")
      return this.#rise(now, Math.max(since, this.#answeredAt), lastSuccessAt);
    if (isPartly && status === "healthy") return this.#become(now, "degraded", reason, "passive");
    if (!isPartly && status === "degraded" && basis === "passive") return this.#become(now, "healthy", "", "passive");
    return false;
  }

  #rise(now: number, since: number, lastSuccessAt: number): boolean {
    if (lastSuccessAt <= since || now - since < ANSWER_EVERY_MS) return false;
    this.#answeredAt = now;
    return this.answered(now);
  }

  #fall(now: number, reason: string, evidence: Health["evidence"]): boolean {
    this.#successes = 0;
    if (this.#health.status === "unhealthy") return false;
    this.#penalty = this.#penalty * 0.5 ** ((now - this.#penaltyAt) / FLAP_HALF_LIFE_MS) + 1;
    this.#penaltyAt = now;
    if (Math.round(this.#penalty) >= this.#thresholds.flapThreshold)
      this.#heldUntil = now + Math.min(LONGEST_HOLD_MS, HOLD_MS * Math.round(this.#penalty));
    return this.#become(now, "unhealthy", reason, evidence);
  }

  #become(now: number, status: HealthStatus, reason: string, evidence: Health["evidence"]): boolean {
    const changed = status !== this.#health.status;
    if (!changed && evidence === this.#health.evidence) return false;
    this.#health = Object.freeze({
      status,
      since: changed ? now : this.#health.since,
      reason,
      evidence,
      failures: this.#failures,
    });
    return changed;
  }
}
