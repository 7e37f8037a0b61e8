import {
  flag,
  funcOr,
  listOf,
  literalOr,
  milliseconds,
  oneOf,
  text,
  wholeNumber,
  type Rule,
} from "../options/rules.ts";
import { shape, type RulesOf, type Shape } from "../options/shape.ts";
import type { HealthSettings } from "../health/tracker.ts";

/** What a resource means to the whole. */
export type Criticality = "critical" | "optional";

/** Whether a resource counts for readiness: always (`gate`), until its first start (`startup`), never (`ignore`). */
export type Readiness = "gate" | "startup" | "ignore";

/** How background work that ended unasked is run again, and for how long that is tried. */
export interface RerunOptions {
  /** Most reruns within `withinMs`; one more end is past the limit. 0 for none. Default 5. */
  readonly maxReruns?: number | undefined;
  /** The period in which reruns are counted, in ms. Default 60,000. */
  readonly withinMs?: number | undefined;
  /** Ceiling of the delay before the first rerun, in ms; it doubles with every further one in the period. Default 1,000. */
  readonly baseDelayMs?: number | undefined;
  /** Ceiling of every delay, in ms. Default 30,000. */
  readonly maxDelayMs?: number | undefined;
  /**
   * What happens past the limit. `exit`: it is not run again, and `runMain` stops everything in order and exits with 1.
   * `keep-trying`: it is run again for ever, at the longest delay. Default `exit`; `keep-trying` for optional resources.
   */
  readonly afterLimit?: "exit" | "keep-trying" | undefined;
}

/** How the start of a critical resource is tried again, where its error may pass. */
export interface StartRetryOptions {
  /** Attempts in all, the first included. Default 10. */
  readonly maxAttempts?: number | undefined;
  /** Ceiling of the delay before the second attempt, in ms; it doubles with every attempt. Default 250. */
  readonly baseDelayMs?: number | undefined;
  /** Ceiling of every delay, in ms. Default 1,500: with the other defaults an attempt is made for 5 to 11 s. */
  readonly maxDelayMs?: number | undefined;
}

/** What every resource can say of itself, whatever it is. */
export interface ResourceSettings {
  /** `critical` (default): the container does not start without it. `optional`: it may be down; its start is retried. */
  readonly criticality?: Criticality | undefined;
  /** Whether it counts for `/readyz`: always, until the first start only, or never. Default `gate`; for remote resources `startup`. */
  readonly readiness?: Readiness | undefined;
  /** Groups for health by tag, such as `cache`, `config` or `security`. */
  readonly tags?: readonly string[] | undefined;
  /**
   * Longest start, in ms, of whatever lifetime. All attempts of `startRetry` are begun within it. Its signal aborts then;
   * an application resource whose start ignores that has 1 s more to end, so that what it uses is not stopped under it,
   * and is given up after that. Default 15,000.
   */
  readonly startTimeoutMs?: number | undefined;
  /**
   * Tries a failed start again where the error may pass, such as a server that is not up yet; never a wrong password or
   * a wrong option. Default: on where `readiness` is `startup`, off for others. `false` for one attempt. It is for
   * critical resources: an optional one does not hold up the start, and is tried again for ever.
   */
  readonly startRetry?: StartRetryOptions | false | undefined;
  /** Longest drain, in ms. Default 10,000. */
  readonly drainTimeoutMs?: number | undefined;
  /** Longest stop, in ms; for a lifecycle generator each resumption. What takes longer is given up. Default 5,000. */
  readonly stopTimeoutMs?: number | undefined;
  /** How its health is watched, where it differs from the rest of its container. */
  readonly health?: HealthSettings | undefined;
  /** Whether its numbers are among the series of the container. Default `true`, or what the container says. */
  readonly metrics?: boolean | undefined;
  /**
   * Order of a restart: `start-first` (default) starts the new one before the old one stops, so no one waits;
   * `stop-first` is for what can exist only once, such as a listening port or a file lock.
   */
  readonly restart?: "start-first" | "stop-first" | undefined;
}

const startRetry: Shape<StartRetryOptions> = /* @__PURE__ */ shape<StartRetryOptions>(() => ({
  maxAttempts: wholeNumber(1),
  baseDelayMs: milliseconds(),
  maxDelayMs: milliseconds(),
}));

/** What says how health is watched must be. */
export const healthShape: Shape<HealthSettings> = /* @__PURE__ */ shape<HealthSettings>(
  () => ({
    intervalMs: milliseconds(),
    timeoutMs: milliseconds(),
    unhealthyAfter: wholeNumber(1),
    healthyAfter: wholeNumber(1),
  }),
  ({ timeoutMs, intervalMs }) =>
    timeoutMs !== undefined && intervalMs !== undefined && timeoutMs > intervalMs
      ? { path: "timeoutMs", message: "must not be longer than intervalMs" }
      : undefined,
);

/** What the options of reruns must be. */
export const rerunShape: Shape<RerunOptions> = /* @__PURE__ */ shape<RerunOptions>(() => ({
  maxReruns: wholeNumber(0),
  withinMs: milliseconds(),
  baseDelayMs: milliseconds(),
  maxDelayMs: milliseconds(),
  afterLimit: oneOf("exit", "keep-trying"),
}));

/** What the settings of every resource must be. */
export function settingsRules(): RulesOf<ResourceSettings> {
  return {
    criticality: oneOf("critical", "optional"),
    readiness: oneOf("gate", "startup", "ignore"),
    tags: listOf(text()),
    startTimeoutMs: milliseconds(),
    startRetry: literalOr(false, startRetry),
    drainTimeoutMs: milliseconds(0),
    stopTimeoutMs: milliseconds(0),
    health: healthShape,
    metrics: flag(),
    restart: oneOf("start-first", "stop-first"),
  };
}

/** What says whether a resource exists. */
export const enabledRule = (): Rule => funcOr(flag());
