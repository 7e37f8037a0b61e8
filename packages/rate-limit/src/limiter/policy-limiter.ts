import { isGivenUp } from "@steward/core/driver";
import { LocalTable } from "../local/table.ts";
import { limiterUnavailable } from "../errors.ts";
import { Decision, tightest, type Outcome } from "../policy/decision.ts";
import { shareOf, type ExactPolicy } from "../policy/policy.ts";
import type { Link } from "../shared/link.ts";
import type { SharedCounter } from "../shared/shared-counter.ts";
import { BlockedKeys } from "./blocked.ts";
import { Tally } from "./tally.ts";

/** What the policies of one rate limiter share. */
export interface LimiterParts {
  readonly resource: string;
  readonly now: () => number;
  readonly maxKeys: number;
  /** How many instances share a budget that no one counts for all of them. */
  readonly instances: () => number;
  /** Redis, and whether it answers. Without it the instance decides alone. */
  readonly together: Together | undefined;
}

/** What the instances count together with. */
export interface Together {
  readonly counter: SharedCounter;
  readonly link: Link;
  /** Longest wait for an answer, in ms. */
  readonly timeoutMs: number;
}

/** In how many ms a call that no one could count may be made again. */
const RETRY_AFTER_MS = 1_000;

/** Decides about the calls under one policy. */
export class PolicyLimiter {
  readonly policy: ExactPolicy;
  readonly tally: Tally = new Tally();
  readonly #parts: LimiterParts;
  readonly #blocked = new BlockedKeys();
  #local: LocalTable;
  /** For how many instances the local shares are. */
  #sharedBy: number;

  constructor(policy: ExactPolicy, parts: LimiterParts) {
    this.policy = policy;
    this.#parts = parts;
    this.#sharedBy = parts.instances();
    this.#local = new LocalTable(shareOf(policy, this.#sharedBy), parts.maxKeys);
  }

  /** Keys that are counted here, and those whose refusal is remembered. */
  get sizes(): { readonly tracked: number; readonly blocked: number } {
    return { tracked: this.#local.size, blocked: this.#blocked.size };
  }

  take(key: string, cost: number): Decision | Promise<Decision> {
    const { together, now } = this.#parts;
    if (together === undefined) return this.#decided(this.#local.take(key, cost, now()));
    const { joining, isAlone } = together.link;
    if (joining !== undefined) return joining.then(() => this.take(key, cost));
    const since = now();
    const blocked = this.policy.chargeRefused ? undefined : this.#blocked.find(key, cost, since);
    if (blocked !== undefined) return this.#decided(blocked);
    return isAlone ? this.#decided(this.#alone(key, cost, true)) : this.#takeTogether(together, key, cost, since);
  }

  /** What `take` would decide. It is not charged, and not counted. */
  async peek(key: string, cost: number): Promise<Decision> {
    const { together, now } = this.#parts;
    await together?.link.joining;
    const blocked = this.#blocked.find(key, cost, now());
    if (blocked !== undefined) return new Decision(this.policy, blocked);
    const outcome =
      together === undefined || together.link.isAlone
        ? this.#alone(key, cost, false)
        : await this.#peekTogether(together, key, cost);
    return new Decision(this.policy, outcome);
  }

  async refund(decision: Decision): Promise<void> {
    const receipt = Decision.receiptOf(decision);
    if (receipt === undefined) return;
    const { key, at, cost, source } = receipt;
    if (source === "local") this.#local.refund(key, at[0] ?? 0, cost);
    else await this.#parts.together?.counter.refund(this.policy, key, at, cost);
    this.#blocked.delete(key);
  }

  async reset(key: string): Promise<void> {
    this.#local.delete(key);
    this.#blocked.delete(key);
    await this.#parts.together?.counter.delete(this.policy, key);
  }

  /**
   * The instance decides alone from here on: with the share that it has now. What it counted alone before stays counted, so
   * that a Redis which goes and comes gives no one a fresh budget.
   */
  alone(): void {
    if (this.#parts.instances() !== this.#sharedBy) this.#renew();
  }

  clear(): void {
    this.#renew();
    this.#blocked.clear();
  }

  /** Adds what was counted here alone to what is counted for all. */
  async merge(counter: SharedCounter, timeoutMs: number): Promise<void> {
    const table = this.#local;
    await counter.merge(this.policy, table.unmerged(this.#parts.now()), timeoutMs, (use) => table.merged(use));
  }

  async #takeTogether(together: Together, key: string, cost: number, since: number): Promise<Decision> {
    let outcome: Outcome;
    try {
      outcome = await together.counter.take(this.policy, key, cost, cost);
    } catch (error) {
      return this.#decided(this.#unanswered(together, key, cost, true, since, error));
    }
    if (outcome.refused && !this.policy.chargeRefused) this.#blocked.add(key, cost, outcome, this.#parts.now());
    return this.#decided(outcome);
  }

  async #peekTogether(together: Together, key: string, cost: number): Promise<Outcome> {
    const since = this.#parts.now();
    try {
      return await together.counter.take(this.policy, key, cost, 0);
    } catch (error) {
      return this.#unanswered(together, key, cost, false, since, error);
    }
  }

  /** Redis gave no answer in its time: the instance decides alone. */
  #unanswered(
    { link, timeoutMs }: Together,
    key: string,
    cost: number,
    takes: boolean,
    since: number,
    error: unknown,
  ): Outcome {
    if (isGivenUp(error, since + timeoutMs)) throw error;
    link.failed(error);
    return this.#alone(key, cost, takes);
  }

  #alone(key: string, cost: number, takes: boolean): Outcome {
    const { resource, together, now } = this.#parts;
    const { name, onUnavailable } = this.policy;
    if (together === undefined || onUnavailable === "local")
      return takes ? this.#local.take(key, cost, now()) : this.#local.peek(key, cost, now());
    if (onUnavailable === "allow") return this.#uncounted();
    if (takes) this.tally.add("refused", "none");
    const { state } = together.link;
    throw limiterUnavailable(resource, name, RETRY_AFTER_MS, state.kind === "up" ? undefined : state.cause);
  }

  #uncounted(): Outcome {
    const readings = this.policy.rates.map(() => ({ used: 0, waitMs: 0, resetMs: 0, at: 0 }));
    return { ...tightest(this.policy, readings), source: "none", refused: false, receipt: undefined };
  }

  #decided(outcome: Outcome): Decision {
    const decision = new Decision(this.policy, outcome);
    this.tally.add(decision.shadowed ? "shadow" : decision.allowed ? "allowed" : "refused", outcome.source);
    return decision;
  }

  #renew(): void {
    this.#sharedBy = this.#parts.instances();
    this.#local = new LocalTable(shareOf(this.policy, this.#sharedBy), this.#parts.maxKeys);
  }
}
