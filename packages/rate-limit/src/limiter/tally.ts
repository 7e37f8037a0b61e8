import type { MetricSample } from "@steward/core";
import type { DecisionSource } from "../policy/decision.ts";

type Result = "allowed" | "refused" | "shadow";

/** Counts the decisions of one policy. */
export class Tally {
  readonly #counts = new Map<Result, Map<DecisionSource, number>>();

  add(result: Result, source: DecisionSource): void {
    let counts = this.#counts.get(result);
    if (counts === undefined) this.#counts.set(result, (counts = new Map<DecisionSource, number>()));
    counts.set(source, (counts.get(source) ?? 0) + 1);
  }

  /** How many calls ended so, decided here or in Redis. */
  of(result: Result): number {
    let sum = 0;
    for (const count of this.#counts.get(result)?.values() ?? []) sum += count;
    return sum;
  }

  *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    for (const [outcome, counts] of this.#counts)
      for (const [source, value] of counts)
        yield {
          name: "steward.rate_limit.decisions",
          kind: "counter",
          unit: "{decision}",
          attributes: { ...attributes, outcome, source },
          value,
        };
  }
}
