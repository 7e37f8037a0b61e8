import { randomFrom } from "@steward/harness";
import type { World } from "./world.ts";

/** Makes one guarded call of the given work. */
export type Guarded = (work: () => Promise<number>) => PromiseLike<unknown>;

/** A dependency, its callers, and what goes wrong. */
export interface Outage {
  /** Calls a second. */
  readonly rate: number;
  /** How long it is well at first, in ms. */
  readonly healthyMs: number;
  /** How long it hangs or refuses then, in ms. */
  readonly downMs: number;
  /** How long it is watched after that, in ms. */
  readonly afterMs: number;
  /** What it does while it is down: never answer, or refuse at once. */
  readonly fault: "hang" | "refuse";
  /** How long a call takes, in ms, from a random number of 0 to below 1. */
  readonly latencyMs: (random: number) => number;
  readonly seed: number;
}

/** What callers went through. Times in ms; `Infinity` where it never came. */
export interface Experience {
  /** From the fault to the first call that was refused without being made. */
  detectedMs: number;
  /** Calls that were made while it was down, and failed. */
  hung: number;
  mostInFlight: number;
  /** From its end to the first success. */
  recoveredMs: number;
  /** Calls refused after its end. */
  refusedAfter: number;
  /** Most calls at once in the second after the first success. */
  rampConcurrency: number;
  /** Calls refused before the fault. */
  refusedBefore: number;
}

/** Goes through an outage in virtual time. */
export async function live(world: World, outage: Outage, guarded: Guarded): Promise<Experience> {
  const caller = new Caller(world, outage, guarded);
  const everyMs = 1_000 / outage.rate;
  let next = 0;
  for (const end = outage.healthyMs + outage.downMs + outage.afterMs; world.now < end; await world.step())
    for (; next <= world.now; next += everyMs) caller.call();
  return caller.experience();
}

class Caller {
  readonly #world: World;
  readonly #outage: Outage;
  readonly #guarded: Guarded;
  readonly #random: () => number;
  #inFlight = 0;
  #mostInFlight = 0;
  #detectedMs = Infinity;
  #recoveredAt = Infinity;
  #hung = 0;
  #refusedBefore = 0;
  #refusedAfter = 0;
  #rampConcurrency = 0;

  constructor(world: World, outage: Outage, guarded: Guarded) {
    this.#world = world;
    this.#outage = outage;
    this.#guarded = guarded;
    this.#random = randomFrom(outage.seed);
  }

  get #downFrom(): number {
    return this.#outage.healthyMs;
  }

  get #downUntil(): number {
    return this.#outage.healthyMs + this.#outage.downMs;
  }

  #isDown(at: number): boolean {
    return at >= this.#downFrom && at < this.#downUntil;
  }

  call(): void {
    const seen = { madeAt: Infinity };
    const work = (): Promise<number> => {
      seen.madeAt = this.#world.now;
      this.#enter();
      return this.#answer();
    };
    this.#guarded(work).then(
      () => this.#succeeded(),
      () => this.#failed(seen.madeAt),
    );
  }

  #enter(): void {
    this.#inFlight++;
    this.#mostInFlight = Math.max(this.#mostInFlight, this.#inFlight);
    const since = this.#world.now - this.#recoveredAt;
    if (since >= 0 && since < 1_000) this.#rampConcurrency = Math.max(this.#rampConcurrency, this.#inFlight);
  }

  async #answer(): Promise<number> {
    const { clock, now } = this.#world;
    if (this.#isDown(now) && this.#outage.fault === "refuse") throw new Error("ECONNREFUSED");
    if (this.#isDown(now)) return new Promise<number>(() => {});
    await clock.sleep(this.#outage.latencyMs(this.#random()));
    return 1;
  }

  #succeeded(): void {
    this.#inFlight--;
    if (this.#world.now >= this.#downUntil) this.#recoveredAt = Math.min(this.#recoveredAt, this.#world.now);
  }

  #failed(madeAt: number): void {
    const { now } = this.#world;
    if (madeAt !== Infinity) {
      this.#inFlight--;
      if (this.#isDown(madeAt)) this.#hung++;
    } else if (now < this.#downFrom) this.#refusedBefore++;
    else {
      this.#detectedMs = Math.min(this.#detectedMs, now - this.#downFrom);
      if (now >= this.#downUntil) this.#refusedAfter++;
    }
  }

  experience(): Experience {
    return {
      detectedMs: this.#detectedMs,
      hung: this.#hung,
      mostInFlight: this.#mostInFlight,
      recoveredMs: this.#recoveredAt - this.#downUntil,
      refusedAfter: this.#refusedAfter,
      rampConcurrency: this.#rampConcurrency,
      refusedBefore: this.#refusedBefore,
    };
  }
}
