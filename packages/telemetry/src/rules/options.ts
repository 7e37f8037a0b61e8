import { milliseconds, rule, shape, text, type Shape } from "@steward/core/driver";

/** What alert rules look at, and when they fire. */
export interface RuleOptions {
  /** Matchers that every series has to meet, such as `job="clips"`. Default none: every Steward that is scraped. */
  readonly selector?: string | undefined;
  /** Share of requests to servers that have to be answered without a status from 500 on, below 1. Default 0.999. */
  readonly objective?: number | undefined;
  /** How long a start of a resource may take, in ms. Default 30,000. */
  readonly slowStartMs?: number | undefined;
}

/** The same, with every default in its place. */
export type RuleSettings = { readonly [K in keyof RuleOptions]-?: NonNullable<RuleOptions[K]> };

/** What the options of alert rules must be. */
export const ruleShape: Shape<RuleOptions> = shape<RuleOptions>(() => ({
  selector: text(true),
  objective: rule("a share between 0 and 1", (value) =>
    typeof value === "number" && value > 0 && value < 1 ? undefined : "must be a share between 0 and 1",
  ),
  slowStartMs: milliseconds(),
}));
