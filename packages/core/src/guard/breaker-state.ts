/** Where a breaker is: letting all through, none, one at a time, a few at a time, or none because somebody said so. */
export type BreakerState = "closed" | "open" | "half-open" | "ramp" | "isolated";
