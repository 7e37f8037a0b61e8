import { StewardError, systemClock, type Clock, type MetricSample, type Timer } from "@steward/core";
import { assertShape, describeError, milliseconds, shape, type Shape } from "@steward/core/driver";
import type { Sight } from "./conditions.ts";
import { Delivery } from "./delivery.ts";
import { alertShape, type AlertOptions } from "./options.ts";
import { WatchedRule, type Moment, type RuleState } from "./rule-state.ts";
import type { AlertSource } from "./source.ts";

/** Where the rules of a watch are, by their names. */
export type AlertStates = Readonly<Record<string, RuleState>>;

/** Rules that are being watched. */
export interface Alerts extends AsyncDisposable {
  /** Where each rule is now. */
  states(): AlertStates;
  /** What became of messages. */
  stats(): { readonly delivered: number; readonly pending: number; readonly lost: number };
  /** Looks no more, and sends what waits, for at most `timeoutMs`. Default 2,000. */
  stop(options?: StopOptions): Promise<void>;
}

/** How long a stop may take. */
interface StopOptions {
  readonly timeoutMs?: number | undefined;
}

const stopShape: Shape<StopOptions> = shape<StopOptions>(() => ({ timeoutMs: milliseconds(0) }));
const CHECK_MS = 5_000;
const DELIVER_MS = 300_000;
const SEND_TIMEOUT_MS = 10_000;
const STOP_MS = 2_000;

/**
 * Sends a message when a resource is unhealthy or a metric out of its bounds for some time, reminds, and says when it is
 * over: for those who have no Prometheus. Each process sends for itself, so the receiver has to put the messages of
 * several replicas together. It runs from here until it is stopped.
 *
 * @throws {OPTIONS_INVALID} listing every wrong option.
 *
 * @example
 * ```ts
 * import { resource } from "@steward/core";
 * import { container } from "@steward/container";
 * import { alerts, metric, unhealthy } from "@steward/telemetry/alerts";
 * await using running = await container([resource("db", { start: () => ({}) })]).start();
 * await using watch = alerts(running, {
 *   rules: [
 *     { name: "db down", when: unhealthy("db"), forMs: 60_000, remindMs: 900_000 },
 *     { name: "many scopes", when: metric("resource_scopes_open").above(500), forMs: 300_000 },
 *   ],
 *   send: async ({ text }) => console.error(text),
 * });
 * console.log(watch.states()["db down"]?.state); // => quiet
 * ```
 */
export function alerts(running: AlertSource, options: AlertOptions): Alerts {
  assertShape("alerts", alertShape, options);
  return new Watch(running, options);
}

class Watch implements Alerts {
  readonly #running: AlertSource;
  readonly #clock: Clock;
  readonly #checkMs: number;
  readonly #rules: readonly WatchedRule[];
  readonly #delivery: Delivery;
  readonly #onProblem: ((problem: StewardError) => void) | undefined;
  /** Rules that were about something at least once, or were reported as being about nothing. */
  readonly #known = new Set<WatchedRule>();
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(running: AlertSource, options: AlertOptions) {
    const { rules, send, clock = systemClock, checkMs = CHECK_MS, maxPerHour = 20, onProblem } = options;
    const { deliverMs = DELIVER_MS, sendTimeoutMs = SEND_TIMEOUT_MS } = options;
    this.#running = running;
    this.#clock = clock;
    this.#checkMs = checkMs;
    this.#onProblem = onProblem;
    this.#rules = rules.map((rule) => new WatchedRule(rule, running.name ?? "", maxPerHour));
    const report = (problem: StewardError): void => this.#report(problem);
    this.#delivery = new Delivery({ clock, send, deliverMs, sendTimeoutMs, report });
    this.#next();
  }

  states(): AlertStates {
    const now = this.#clock.now();
    return Object.fromEntries(this.#rules.map((watched) => [watched.rule.name, watched.state(now)]));
  }

  stats(): { readonly delivered: number; readonly pending: number; readonly lost: number } {
    const { delivered, pending, lost } = this.#delivery;
    return { delivered, pending, lost };
  }

  async stop(options: StopOptions = {}): Promise<void> {
    assertShape("stop", stopShape, options);
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#delivery.end(options.timeoutMs ?? STOP_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #next(): void {
    this.#timer = this.#clock.setTimeout(() => this.#check(), this.#checkMs, { unref: true });
  }

  #check(): void {
    const { phase = "ready" } = this.#running;
    if (phase === "ready") this.#look();
    if (!this.#isStopped) this.#next();
  }

  #look(): void {
    const at = { now: this.#clock.now(), wall: this.#clock.wallNow() };
    const running = this.#running;
    const health = once(() => running.health());
    const series = once((): readonly MetricSample[] => [...running.metrics()]);
    const sight: Sight = {
      get health() {
        return health();
      },
      series,
    };
    const failures = new Set<unknown>();
    for (const watched of this.#rules) {
      try {
        this.#apply(watched, sight, at);
      } catch (error) {
        failures.add(error); // the other rules are looked at all the same
      }
    }
    for (const error of failures) {
      const text = `alerts could not look: ${describeError(error)}`;
      this.#report(new StewardError("TELEMETRY_SOURCE_FAILED", text, { cause: error }));
    }
  }

  #apply(watched: WatchedRule, sight: Sight, at: Moment): void {
    const seen = watched.rule.when.look(sight);
    if (seen === undefined) this.#seesNothing(watched);
    else this.#known.add(watched);
    const message = watched.observe(seen, at);
    if (message !== undefined) this.#delivery.add(message);
  }

  /** A rule with a slip in a name would keep quiet for ever. What comes later, such as a pool that starts lazily, is found then. */
  #seesNothing(watched: WatchedRule): void {
    if (this.#known.has(watched)) return;
    this.#known.add(watched);
    const { name, when } = watched.rule;
    const text = `the alert "${name}" is about nothing there is: ${when.about} was not found`;
    this.#report(new StewardError("TELEMETRY_ALERT_BLIND", text));
  }

  #report(problem: StewardError): void {
    try {
      this.#onProblem?.(problem);
    } catch {
      // what listens to problems is no part of the watch
    }
  }
}

/** Reads a thing once, and says again what became of that: a source that throws is one failure, not one for each rule. */
function once<T>(read: () => T): () => T {
  let answer: (() => T) | undefined;
  return () => (answer ??= outcomeOf(read))();
}

function outcomeOf<T>(read: () => T): () => T {
  try {
    const value = read();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
