import type { HealthStatus } from "@steward/core";

/** For which part of the time a resource was healthy, over its restarts. */
export class Availability {
  readonly #from: number;
  #healthyMs = 0;
  #healthySince: number | undefined;

  /** @param now The present, in ms. */
  constructor(now: number) {
    this.#from = now;
  }

  /** Its status is another from now on. */
  note(now: number, status: HealthStatus): void {
    this.#healthyMs = this.#upTo(now);
    this.#healthySince = status === "healthy" ? now : undefined;
  }

  /** Healthy time over all time since it was first watched, 0 to 1; `undefined` before any time has passed. */
  ratio(now: number): number | undefined {
    return now > this.#from ? this.#upTo(now) / (now - this.#from) : undefined;
  }

  #upTo(now: number): number {
    return this.#healthyMs + (this.#healthySince === undefined ? 0 : now - this.#healthySince);
  }
}
