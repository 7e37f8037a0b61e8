import { outsideRequests } from "../context.ts";
import { LazyAbort } from "../time/abort.ts";
import type { Clock, Timer } from "../time/clock.ts";

/** Something that is probed again and again. */
export interface ProbeTarget {
  readonly name: string;
  /** Asks it for a sign of life. Settles within its own timeout, and soon after `signal` aborts. */
  probe(signal: AbortSignal): Promise<void>;
  /** Time between two probes while it is well, in ms. Default: that of the schedule. */
  readonly intervalMs?: number | undefined;
  /** When a real call last succeeded, in ms of the clock: a probe so soon after that would show nothing new. */
  readonly lastSuccessAt: number;
  /** True when the next probe should come soon. */
  readonly isSuspect: boolean;
  /** Called after every conclusive probe; `undefined` means that it was answered. */
  onProbe(error: unknown): void;
}

/** How targets are probed. */
export interface ProbeSchedule {
  /** Time between two probes of a target that is well, in ms, 20 % more or less. Default 10,000. */
  readonly intervalMs?: number | undefined;
  /** Time until the next probe of one that is not, in ms; it grows by half each time, and stays at the interval. Default 1,000. */
  readonly suspectIntervalMs?: number | undefined;
  /** Probes that may run at once. Default 8. */
  readonly maxConcurrent?: number | undefined;
}

const DEFAULTS = { intervalMs: 10_000, suspectIntervalMs: 1_000, maxConcurrent: 8 };
/** A pulse that comes later than this shows an event loop that stalled: then a failed probe says nothing. In ms. */
const STALL_MS = 400;
/** How often the scheduler looks whether the event loop stalled, while probes run, in ms. */
const PULSE_MS = 100;

/** What becomes suspect is probed after this time, so that one probe answers for all that happens at once, in ms. */
const HURRY_MS = 50;

interface Entry {
  readonly target: ProbeTarget;
  /** Time between two probes while it is well. */
  readonly usualMs: number;
  dueAt: number;
  /** When it was hurried last. */
  hurriedAt: number;
  /** Pause before the next probe while it is suspect; `undefined` while it is well. */
  suspectMs: number | undefined;
  running: boolean;
  gone: boolean;
}

/**
 * Probes many targets on one timer, which does not keep the process alive: each one once at a time, few at once,
 * spread by jitter, sooner when one is suspect, not at all while real calls show enough. A probe that fails while
 * the event loop stalled says nothing about the target.
 */
export class ProbeScheduler {
  readonly #clock: Clock;
  readonly #schedule: typeof DEFAULTS;
  readonly #random: () => number;
  readonly #entries = new Set<Entry>();
  #timer: Timer | undefined;
  #armedFor = Number.POSITIVE_INFINITY;
  #running = 0;
  #pulse: Timer | undefined;
  #pulseDue = 0;
  #stalledAt = Number.NEGATIVE_INFINITY;
  readonly #closing = new LazyAbort();
  #idle: (() => void)[] = [];

  /** @param random Gives 0 to below 1; for tests. */
  constructor(clock: Clock, schedule: ProbeSchedule = {}, random: () => number = Math.random) {
    this.#clock = clock;
    const given = Object.fromEntries(Object.entries(schedule).filter(([, value]) => value !== undefined));
    this.#schedule = { ...DEFAULTS, ...given };
    this.#random = random;
  }

  /** Probes a target from here on, first at a random moment within its interval; the returned function ends it. */
  add(target: ProbeTarget): () => void {
    const usualMs = target.intervalMs ?? this.#schedule.intervalMs;
    const entry: Entry = {
      target,
      usualMs,
      dueAt: this.#clock.now() + this.#random() * usualMs,
      hurriedAt: Number.NEGATIVE_INFINITY,
      suspectMs: undefined,
      running: false,
      gone: false,
    };
    this.#entries.add(entry);
    this.#arm(entry.dueAt);
    return () => {
      entry.gone = true;
      this.#entries.delete(entry);
    };
  }

  /** Probes at once what has become suspect, unless that was done a moment ago: then as soon as a suspect is due. */
  hurry(target: ProbeTarget): void {
    const now = this.#clock.now();
    for (const entry of this.#entries) {
      if (entry.target !== target || entry.running) continue;
      const dueAt = Math.max(now + HURRY_MS, entry.hurriedAt + this.#schedule.suspectIntervalMs);
      if (dueAt >= entry.dueAt) continue;
      entry.dueAt = entry.hurriedAt = dueAt;
      this.#arm(dueAt);
    }
  }

  /** Begins no further probe and aborts those that run; resolves when they have ended. */
  async close(): Promise<void> {
    this.#closing.abort(() => new Error("the container stops"));
    this.#timer?.cancel();
    this.#pulse?.cancel();
    this.#entries.clear();
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  get #closed(): boolean {
    return this.#closing.aborted;
  }

  #arm(at: number): void {
    if (this.#closed || at >= this.#armedFor) return;
    this.#timer?.cancel();
    this.#armedFor = at;
    this.#timer = this.#clock.setTimeout(() => outsideRequests(this.#tick), Math.max(0, at - this.#clock.now()), {
      unref: true,
    });
  }

  readonly #tick = (): void => {
    this.#armedFor = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    const due = [...this.#entries]
      .filter((entry) => !entry.running && entry.dueAt <= now)
      .sort((a, b) => a.dueAt - b.dueAt);
    for (const entry of due) if (this.#running < this.#schedule.maxConcurrent) this.#turn(entry, now);
    this.#armNext();
  };

  #armNext(): void {
    if (this.#running >= this.#schedule.maxConcurrent) return; // the end of one arms again
    let next = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries) if (!entry.running && entry.dueAt < next) next = entry.dueAt;
    if (next < Number.POSITIVE_INFINITY) this.#arm(next);
  }

  #turn(entry: Entry, now: number): void {
    const enoughKnown = !entry.target.isSuspect && now - entry.target.lastSuccessAt < entry.usualMs;
    if (enoughKnown) this.#plan(entry, now);
    else void this.#probe(entry, now);
  }

  async #probe(entry: Entry, since: number): Promise<void> {
    entry.running = true;
    this.#running++;
    this.#beat();
    const { error } = await entry.target.probe(this.#closing.signal).then(
      () => ({ error: undefined }),
      (thrown: unknown) => ({ error: thrown ?? new Error("rejected with nothing") }), // by itself it could be taken for a promise
    );
    entry.running = false;
    this.#running--;
    const now = this.#clock.now();
    this.#noteStall(now);
    const inconclusive = error !== undefined && this.#stalledAt >= since;
    if (!entry.gone && !this.#closed && !inconclusive) entry.target.onProbe(error);
    this.#plan(entry, now);
    this.#armNext();
    if (this.#running === 0) for (const wake of this.#idle.splice(0)) wake();
  }

  #plan(entry: Entry, now: number): void {
    const { usualMs } = entry;
    const { suspectIntervalMs } = this.#schedule;
    const grown = entry.suspectMs === undefined ? suspectIntervalMs : entry.suspectMs * 1.5;
    entry.suspectMs = entry.target.isSuspect ? Math.min(usualMs, grown) : undefined;
    entry.dueAt = now + (entry.suspectMs ?? usualMs) * (0.8 + this.#random() * 0.4);
  }

  /** While probes run, a pulse shows whether the event loop was late. */
  #beat(): void {
    if (this.#pulse !== undefined) return;
    this.#pulseDue = this.#clock.now() + PULSE_MS;
    this.#pulse = this.#clock.setTimeout(
      () => {
        this.#pulse = undefined;
        this.#noteStall(this.#clock.now());
        if (this.#running > 0 && !this.#closed) this.#beat();
      },
      PULSE_MS,
      { unref: true },
    );
  }

  #noteStall(now: number): void {
    if (now - this.#pulseDue > STALL_MS) this.#stalledAt = now;
  }
}
