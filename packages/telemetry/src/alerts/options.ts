import type { Clock, StewardError } from "@steward/core";
import {
  func,
  listOf,
  milliseconds,
  recognised,
  required,
  shape,
  text,
  wholeNumber,
  withMethods,
  type Shape,
} from "@steward/core/driver";
import type { AlertCondition } from "./conditions.ts";
import type { AlertMessage } from "./message.ts";

/** When to send what. */
export interface AlertRule {
  /** What messages call it, such as `db down`; each rule has another. */
  readonly name: string;
  /** What has to be so: `unhealthy(...)`, or `metric(...).above(...)`. */
  readonly when: AlertCondition;
  /** How long it has to be so without a break, in ms. Default 0: at the first look. */
  readonly forMs?: number | undefined;
  /** How often to repeat the message while it lasts, in ms. Default: not at all. */
  readonly remindMs?: number | undefined;
}

/** Sends a message, such as `webhook(...)`. Where it rejects, the message is sent again: better twice than not at all. */
export type SendAlert = (message: AlertMessage, options: { readonly signal: AbortSignal }) => Promise<unknown>;

/** What to look for, and where it goes. */
export interface AlertOptions {
  /** What to look for; each has a name of its own. */
  readonly rules: readonly AlertRule[];
  /** Where messages go. */
  readonly send: SendAlert;
  /** How often to look, in ms. Default 5,000. */
  readonly checkMs?: number | undefined;
  /** Most messages of a rule in an hour; that an alert is over is sent all the same where its beginning was. Default 20. */
  readonly maxPerHour?: number | undefined;
  /** For how long a message that cannot be sent is sent again, in ms. Default 300,000. */
  readonly deliverMs?: number | undefined;
  /** Longest attempt to send one, in ms. Default 10,000. */
  readonly sendTimeoutMs?: number | undefined;
  /** Called for messages that were given up, rules that are about nothing there is, and sources that fail. Default: they are only counted. */
  readonly onProblem?: ((problem: StewardError) => void) | undefined;
  /** Where time comes from. Default: the real clock. */
  readonly clock?: Clock | undefined;
}

const condition = recognised(
  (value) => typeof value === "object" && value !== null && "look" in value && typeof value.look === "function",
  "a condition, such as unhealthy(...) or metric(...).above(...)",
);

const ruleShape: Shape<AlertRule> = shape<AlertRule>(() => ({
  name: required(text()),
  when: required(condition),
  forMs: milliseconds(0),
  remindMs: milliseconds(1_000),
}));

/** What the options of alerts must be. */
export const alertShape: Shape<AlertOptions> = shape<AlertOptions>(
  () => ({
    rules: required(listOf(ruleShape)),
    send: required(func()),
    checkMs: milliseconds(100),
    maxPerHour: wholeNumber(1),
    deliverMs: milliseconds(0),
    sendTimeoutMs: milliseconds(),
    onProblem: func(),
    clock: withMethods("a clock", "now", "wallNow", "setTimeout", "sleep"),
  }),
  ({ rules }) => {
    const again = rules.find(({ name }, i) => rules.findIndex((rule) => rule.name === name) < i);
    return again === undefined ? undefined : { path: "rules", message: `two rules are called "${again.name}"` };
  },
);
