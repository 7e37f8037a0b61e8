import type { HealthStatus } from "@steward/core";

/** For which part of the time a resource was healthy, over its restarts. */
export class Availability {
  #from: number | undefined;
  #healthyMs = 0;
  #healthySince: number | undefined;

  /** Its status is another from now on. */
  note(now: number, status: HealthStatus): void {
    this.#from ??= now;
    this.#healthyMs = this.#upTo(now);
    this.#healthySince = status === "healthy" ? now : undefined;
  }

  /** Healthy time over all time since it had its first status, 0 to 1; `undefined` before any has passed. */
  ratio(now: number): number | undefined {
    if (this.#from === undefined || now <= this.#from) return undefined;
    return this.#upTo(now) / (now - this.#from);
  }

  #upTo(now: number): number {
    return this.#healthyMs + (this.#healthySince === undefined ? 0 : now - this.#healthySince);
  }
}
