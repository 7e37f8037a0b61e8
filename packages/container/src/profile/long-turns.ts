import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { CHANNELS, type CallEvent } from "@steward/core";
import { assertShape, flag, func, milliseconds, required, shape, type Shape } from "@steward/core/container";
import { spentIn, type Frame } from "./frames.ts";
import { CpuRecording } from "./session.ts";

/** A call whose answer came shortly before the event loop stood still: what held it up may have been handling it. */
export interface TurnCall {
  readonly resource: string;
  readonly operation: string | undefined;
  /** How long before the loop went on it ended, in ms. */
  readonly beforeMs: number;
}

/** The event loop stood still. */
export interface LongTurn {
  /** For how long, in ms. */
  readonly durationMs: number;
  /** The last calls that ended before or within it, the latest first; at most 5. */
  readonly calls: readonly TurnCall[];
  /** Where its time went, the most first; empty unless `frames` is on. */
  readonly frames: readonly Frame[];
}

/** Which turns are reported. */
export interface LongTurnOptions {
  /** Turns of the event loop that took longer, in ms, from 50 on. Default 200. */
  readonly overMs?: number | undefined;
  /** What to do with one; most log it. What it throws is dropped. */
  readonly report: (turn: LongTurn) => void;
  /** Whether to name functions: a sample of the stack is taken every 10 ms, which costs about 1 % of a core. Default `false`. */
  readonly frames?: boolean | undefined;
}

const turnShape: Shape<LongTurnOptions> = /* @__PURE__ */ shape<LongTurnOptions>(() => ({
  overMs: milliseconds(50),
  report: required(func()),
  frames: flag(),
}));

const LOOK_MS = 20;
const SAMPLE_MS = 10;
/** A recording is begun anew after this, so that it does not grow. */
const RECORDING_MS = 30_000;
const KEPT_CALLS = 5;
const TOP_FRAMES = 10;

/**
 * Reports when the event loop stood still, with the resources whose answers were handled then and, where `frames` is on,
 * the functions that had the time. While it runs a timer looks every 20 ms; it keeps no process alive.
 *
 * @returns What ends it.
 * @throws {OPTIONS_INVALID} when an option is unknown, missing or wrong.
 *
 * @example
 * ```ts fragment
 * await using _turns = longTurns({ overMs: 100, frames: true, report: (turn) => log.warn(turn, "the event loop stood still") });
 * ```
 */
export function longTurns(options: LongTurnOptions): AsyncDisposable {
  assertShape("longTurns", turnShape, options);
  return new TurnWatch(options);
}

class TurnWatch implements AsyncDisposable {
  readonly #overMs: number;
  readonly #report: (turn: LongTurn) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #calls: { resource: string; operation: string | undefined; at: number }[] = [];
  #lastAt = performance.now();
  #recording: Recording | undefined;

  constructor({ overMs = 200, report, frames = false }: LongTurnOptions) {
    this.#overMs = overMs;
    this.#report = report;
    if (frames) this.#recording = new Recording();
    subscribe(CHANNELS.call, this.#hear);
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    unsubscribe(CHANNELS.call, this.#hear);
    await this.#recording?.end();
    this.#recording = undefined;
  }

  readonly #hear = (message: unknown): void => {
    const { resource, operation } = message as CallEvent; // the channel carries nothing else
    this.#calls.push({ resource, operation, at: performance.now() });
    if (this.#calls.length > KEPT_CALLS) this.#calls.shift();
  };

  #look(): void {
    const [since, now] = [this.#lastAt, performance.now()];
    this.#lastAt = now;
    const durationMs = now - since - LOOK_MS;
    if (durationMs > this.#overMs) void this.#found(durationMs, since, now);
    else this.#recording?.keepShort(now);
  }

  async #found(durationMs: number, since: number, now: number): Promise<void> {
    const calls = this.#calls
      .filter(({ at }) => at >= since)
      .map(({ resource, operation, at }) => ({ resource, operation, beforeMs: now - at }))
      .reverse();
    const frames = (await this.#recording?.between(since, now)) ?? [];
    try {
      this.#report({ durationMs, calls, frames });
    } catch {
      // no one would catch it, and that ends the process
    }
  }
}

/** A recording of the CPU that goes on, a piece after the other. */
class Recording {
  #current: Promise<{ readonly recording: CpuRecording; readonly since: number } | undefined>;
  #since = performance.now();

  constructor() {
    this.#current = CpuRecording.start(SAMPLE_MS).then(
      (recording) => ({ recording, since: performance.now() }),
      () => undefined, // a Node without inspector: turns are reported without functions
    );
  }

  /** The functions that had the time between two moments. */
  async between(from: number, to: number): Promise<readonly Frame[]> {
    const current = await this.#current;
    if (current === undefined) return [];
    const profile = await this.#renew(current);
    return profile === undefined ? [] : spentIn(profile, TOP_FRAMES, from - current.since, to - current.since).frames;
  }

  keepShort(now: number): void {
    if (now - this.#since < RECORDING_MS) return;
    this.#since = now;
    void this.#current.then((current) => current && this.#renew(current));
  }

  async end(): Promise<void> {
    const current = await this.#current;
    this.#current = Promise.resolve(undefined);
    await current?.recording.stop();
  }

  async #renew({ recording }: { readonly recording: CpuRecording }) {
    this.#since = performance.now();
    const renewed = recording.renew();
    this.#current = renewed.then(
      () => ({ recording, since: performance.now() }),
      () => undefined,
    );
    return await renewed.catch(() => undefined);
  }
}
