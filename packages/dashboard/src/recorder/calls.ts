import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { CHANNELS, isStewardError, type CallEvent, type Clock } from "@steward/core";
import { describeError } from "@steward/core/driver";
import { short } from "./journal.ts";
import { Latencies, type Quantiles } from "./latencies.ts";

/** Most kinds of errors that are kept of a resource. */
const MOST_ERRORS = 20;

const NO_QUANTILES: Quantiles = { p50: undefined, p95: undefined, p99: undefined };

/** Errors of one code. */
export interface ErrorCount {
  readonly code: string;
  readonly count: number;
  /** When the last one came, in ms since 1970. */
  readonly lastAt: number;
  /** What the last one said. */
  readonly message: string;
}

/** What is known of the calls of one resource. */
export class ResourceCalls {
  readonly latencies: Latencies = new Latencies();
  readonly #errors = new Map<string, ErrorCount>();
  #rate = 0;
  #errorRate = 0;
  #lastTotal = 0;
  #lastFailed = 0;
  #recent: Quantiles = NO_QUANTILES;

  /** Of the last 10 to 20 s, read once a second. */
  get recent(): Quantiles {
    return this.#recent;
  }

  /** Calls a second, over the last second or so. */
  get rate(): number {
    return this.#rate;
  }

  /** Failed calls a second. */
  get errorRate(): number {
    return this.#errorRate;
  }

  /** Errors by code, the most frequent first. */
  get errors(): readonly ErrorCount[] {
    return [...this.#errors.values()].sort((a, b) => b.count - a.count);
  }

  failed(error: unknown, at: number): void {
    const code = short(isStewardError(error) ? error.code : error instanceof Error ? error.name : "error", 100);
    const known = this.#errors.get(code);
    if (known === undefined && this.#errors.size >= MOST_ERRORS) return;
    this.#errors.set(code, { code, count: (known?.count ?? 0) + 1, lastAt: at, message: short(describeError(error)) });
  }

  /** Reads the rates anew. */
  measure(overMs: number, now: number): void {
    const { total, failed } = this.latencies;
    this.#recent = this.latencies.recent(now);
    this.#rate = ((total - this.#lastTotal) * 1_000) / overMs;
    this.#errorRate = ((failed - this.#lastFailed) * 1_000) / overMs;
    this.#lastTotal = total;
    this.#lastFailed = failed;
  }
}

/** Counts guarded calls by resource, from `open` to `close`: unheard, a call costs nothing for it. */
export class Calls {
  readonly #clock: Clock;
  readonly #byResource = new Map<string, ResourceCalls>();
  readonly #listener = (event: unknown): void => this.#on(event as CallEvent); // what core publishes there
  #measuredAt = 0;
  /** What time it is to the latencies, read once a second: a call does not ask the clock. */
  #now = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  open(): void {
    this.#measuredAt = this.#now = this.#clock.now();
    subscribe(CHANNELS.call, this.#listener);
  }

  /** Ends the listening and forgets what was counted. */
  close(): void {
    unsubscribe(CHANNELS.call, this.#listener);
    this.#byResource.clear();
  }

  of(resource: string): ResourceCalls | undefined {
    return this.#byResource.get(resource);
  }

  /** Reads the rates anew where a second has passed. */
  measure(): boolean {
    const now = this.#clock.now();
    const overMs = now - this.#measuredAt;
    if (overMs < 950) return false;
    this.#measuredAt = this.#now = now;
    for (const calls of this.#byResource.values()) calls.measure(overMs, now);
    return true;
  }

  #on({ resource, durationMs, error }: CallEvent): void {
    let calls = this.#byResource.get(resource);
    if (calls === undefined) this.#byResource.set(resource, (calls = new ResourceCalls()));
    const hasFailed = error !== undefined;
    calls.latencies.record(durationMs, this.#now, hasFailed);
    if (hasFailed) calls.failed(error, this.#clock.wallNow());
  }
}
