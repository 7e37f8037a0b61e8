import { describeError } from "./errors.ts";

/** How well a resource is, as far as evidence goes. */
export type HealthStatus = "unknown" | "healthy" | "degraded" | "unhealthy";

/** What real calls tell about a resource, without asking it. */
export interface PassiveEvidence {
  /** When a call last succeeded, in ms of the clock; `-Infinity` when none has. */
  readonly lastSuccessAt: number;
  /** Share of its circuit breakers that let nothing through, 0 to 1. */
  readonly openRatio: number;
  /** Why the last one opened; empty when none is open. */
  readonly reason: string;
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
  /** Failed probes in a row until a resource counts as unhealthy. Default 3. */
  readonly failureThreshold?: number | undefined;
  /** Answered probes in a row until it counts as healthy again. Default 2. */
  readonly successThreshold?: number | undefined;
  /** How often it may become unhealthy, with a half-life of a minute, before it is held at degraded. Default 3. */
  readonly flapThreshold?: number | undefined;
}

const DEFAULTS = { failureThreshold: 3, successThreshold: 2, flapThreshold: 3 };
const FLAP_HALF_LIFE_MS = 60_000;
const HOLD_MS = 5_000;
const LONGEST_HOLD_MS = 300_000;

/**
 * Turns evidence into a status that does not flap: several failures to fall, several successes to rise, and a
 * resource that keeps changing is held at degraded for a while.
 *
 * An open breaker is evidence enough to fall at once, and an answered probe behind it counts as a success.
 */
export class HealthTracker {
  readonly #thresholds: typeof DEFAULTS;
  #health: Health;
  #failures = 0;
  #successes = 0;
  #penalty = 0;
  #penaltyAt: number;
  #heldUntil = Number.NEGATIVE_INFINITY;

  /** @param now The present, in ms. */
  constructor(now: number, thresholds: HealthThresholds = {}) {
    const given = Object.fromEntries(Object.entries(thresholds).filter(([, value]) => value !== undefined));
    this.#thresholds = { ...DEFAULTS, ...given };
    this.#penaltyAt = now;
    this.#health = { status: "unknown", since: now, reason: "not asked yet", evidence: "none", failures: 0 };
  }

  /** The health of now. */
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

  /** A probe was answered. Tells whether the status changed. */
  answered(now: number): boolean {
    this.#failures = 0;
    this.#successes++;
    const { status } = this.#health;
    if (status === "healthy" || (status !== "unknown" && this.#successes < this.#thresholds.successThreshold))
      return false;
    if (now < this.#heldUntil)
      return this.#become(
        now,
        "degraded",
        `it recovered but keeps changing; healthy in ${Math.ceil((this.#heldUntil - now) / 1_000)} s if it stays so`,
        "damped",
      );
    return this.#become(now, "healthy", "", "active");
  }

  /** A probe failed. Tells whether the status changed. */
  failed(now: number, error: unknown): boolean {
    this.#successes = 0;
    this.#failures++;
    if (this.#failures < this.#thresholds.failureThreshold) return false;
    return this.#fall(now, `${this.#failures} probes in a row failed: ${describeError(error)}`, "active");
  }

  /** Looks at what real calls tell. Tells whether the status changed. */
  observed(now: number, evidence: PassiveEvidence): boolean {
    if (evidence.openRatio >= 1) return this.#fall(now, evidence.reason, "passive");
    if (evidence.openRatio > 0 && this.#health.status === "healthy")
      return this.#become(now, "degraded", evidence.reason, "passive");
    if (evidence.openRatio === 0 && this.#health.status === "degraded" && this.#health.evidence === "passive")
      return this.#become(now, "healthy", "", "passive");
    return false;
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
