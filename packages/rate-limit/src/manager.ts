import { Guard, type MetricSample } from "@steward/core";
import { checkOptions, Manager, type ManagerContext, type PassiveEvidence } from "@steward/core/driver";
import { evidenceOf, fallbackOf, type RateLimiterStats } from "./health.ts";
import { limiterOf, type Limiter } from "./limiter/limiter.ts";
import { PolicyLimiter, type Together } from "./limiter/policy-limiter.ts";
import { rateLimiterSchema, type CheckedOptions, type Policies, type RateLimiterOptions } from "./options.ts";
import { exactPolicy } from "./policy/policy.ts";
import { Heartbeat } from "./shared/heartbeat.ts";
import { Link } from "./shared/link.ts";
import { SharedCounter } from "./shared/shared-counter.ts";

/** Default of `timeoutMs`. */
const TIMEOUT_MS = 50;
const MAX_KEYS = 100_000;

/**
 * Looks after a rate limiter: budgets that all instances share in Redis, or those of one process.
 *
 * @example
 * ```ts
 * import { RateLimiterManager } from "@steward/rate-limit";
 * await using manager = await new RateLimiterManager({ policies: { login: ["5/minute", "50/hour"] } }).start();
 * const { allowed, remaining } = await manager.client.take("login", "ada");
 * console.log(allowed, remaining); // => true 4
 * ```
 */
export class RateLimiterManager<P extends Policies = Policies> extends Manager<Limiter<keyof P & string>> {
  override readonly client: Limiter<keyof P & string>;
  readonly #policies: ReadonlyMap<string, PolicyLimiter>;
  readonly #guard: Guard;
  readonly #link: Link | undefined;
  readonly #counter: SharedCounter | undefined;
  readonly #heartbeat: Heartbeat | undefined;
  readonly #instances: number;

  /** @throws {OPTIONS_INVALID} listing every option that is unknown or wrong. */
  constructor(options: RateLimiterOptions<P>, context: ManagerContext = {}) {
    super("rate limiter", context);
    const checked = checkOptions(this.name, rateLimiterSchema, options);
    this.#instances = typeof checked.instances === "number" ? checked.instances : 1;
    this.#guard = new Guard({ resource: this.name, clock: this.clock });
    const together = this.#together(checked);
    this.#link = together?.link;
    this.#counter = together?.counter;
    if (checked.instances === "heartbeat" && together !== undefined) {
      const { counter, link } = together;
      this.#heartbeat = new Heartbeat(this.clock, counter, (cause) => link.failed(cause));
    }
    const parts = {
      resource: this.name,
      now: () => this.clock.now(),
      maxKeys: checked.maxKeys ?? MAX_KEYS,
      instances: () => this.#count,
      together,
    };
    const limiters = Object.entries(checked.policies).map(
      ([name, policy]) => new PolicyLimiter(exactPolicy(name, policy, checked.onUnavailable ?? "local"), parts),
    );
    this.#policies = new Map(limiters.map((limiter) => [limiter.policy.name, limiter]));
    this.client = limiterOf({
      resource: this.name,
      policies: this.#policies,
      refusal: () => this.unavailable(),
    });
  }

  #together({ redis, prefix, timeoutMs = TIMEOUT_MS, clock }: CheckedOptions): Together | undefined {
    if (redis === undefined) return undefined;
    const counter = new SharedCounter({
      redis,
      guard: this.#guard,
      clock: this.clock,
      prefix: prefix ?? "rate:",
      timeoutMs,
      ownTime: clock === "client",
    });
    const link = new Link({
      clock: this.clock,
      timeoutMs,
      ask: () => counter.ask(),
      merge: (limitMs) => this.#merge(counter, limitMs),
      onChange: () => this.#changed(),
    });
    return { counter, link, timeoutMs };
  }

  /** Its numbers. */
  override stats(): Readonly<Record<string, unknown>> & RateLimiterStats {
    const sizes = [...this.#policies.values()].map((limiter) => limiter.sizes);
    return Object.freeze({
      phase: this.phase,
      tracked: sizes.reduce((sum, { tracked }) => sum + tracked, 0),
      blocked: sizes.reduce((sum, { blocked }) => sum + blocked, 0),
      fallback: fallbackOf(this.#link?.state),
      instances: this.#count,
    });
  }

  override get passive(): PassiveEvidence {
    return evidenceOf(fallbackOf(this.#link?.state), this.#guard.lastSuccessAt);
  }

  protected override guards(): Iterable<Guard> {
    return this.#counter === undefined ? [] : [this.#guard];
  }

  protected override get hasWorkToDrain(): boolean {
    return false;
  }

  protected override async onStart(): Promise<void> {
    this.#link?.open();
    await this.#heartbeat?.start();
  }

  /** It decides with Redis and without: what there is to know of it, its calls show. */
  protected override onProbe(): void {}

  protected override async onStop(): Promise<void> {
    this.#link?.close();
    for (const limiter of this.#policies.values()) limiter.clear();
    await this.#heartbeat?.stop();
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    for (const [policy, { tally }] of this.#policies) yield* tally.series({ ...attributes, policy });
    yield {
      name: "steward.rate_limit.fallback",
      kind: "gauge",
      unit: "1",
      attributes,
      value: this.#link?.isAlone === true ? 1 : 0,
    };
  }

  /** Instances that share a budget, as far as it knows. */
  get #count(): number {
    return this.#heartbeat?.instances ?? this.#instances;
  }

  async #merge(counter: SharedCounter, timeoutMs: number): Promise<void> {
    for (const limiter of this.#policies.values()) await limiter.merge(counter, timeoutMs);
  }

  #changed(): void {
    if (this.#link?.isAlone === true) for (const limiter of this.#policies.values()) limiter.alone();
    this.noticed();
  }
}
