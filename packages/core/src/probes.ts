import type { Clock, Timer } from "./clock.ts";

/** Something that is probed again and again. */
export interface ProbeTarget {
  readonly name: string;
  /** Asks it for a sign of life. Settles within its own timeout. */
  probe(): Promise<void>;
  /** When a real call last succeeded, in ms of the clock: a probe that soon after would tell nothing new. */
  readonly lastSuccessAt: number;
  /** True when the next probe should come soon. */
  readonly isSuspect: boolean;
  /** Told of every probe that tells something; `undefined` means that it was answered. */
  onProbe(error: unknown): void;
}

/** How targets are probed. */
export interface ProbeSchedule {
  /** Time between two probes of a target that is well, in ms, 20 % more or less. Default 10,000. */
  readonly intervalMs?: number | undefined;
  /** Time until the next probe of one that is not, in ms; it grows by half up to the interval. Default 1,000. */
  readonly suspectIntervalMs?: number | undefined;
  /** Probes that may run at once. Default 8. */
  readonly maxConcurrent?: number | undefined;
}

const DEFAULTS = { intervalMs: 10_000, suspectIntervalMs: 1_000, maxConcurrent: 8 };
/** A pulse that comes later than this shows an event loop that stalled: then a failed probe says nothing. In ms. */
const STALL_MS = 400;
/** How often the scheduler looks whether the event loop stalled, while probes run, in ms. */
const PULSE_MS = 100;

interface Entry {
  readonly target: ProbeTarget;
  dueAt: number;
  intervalMs: number;
  running: boolean;
  gone: boolean;
}

/**
 * Probes many targets on one timer, which does not keep the process alive: each one once at a time, few at once,
 * spread by jitter, sooner when one is suspect, not at all while real calls tell enough. A probe that fails while
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
  #closed = false;
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
    const { intervalMs } = this.#schedule;
    const entry: Entry = {
      target,
      dueAt: this.#clock.now() + this.#random() * intervalMs,
      intervalMs,
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

  /** Probes soon what has become suspect. */
  hurry(target: ProbeTarget): void {
    for (const entry of this.#entries) {
      if (entry.target !== target || entry.running) continue;
      entry.dueAt = Math.min(entry.dueAt, this.#clock.now() + this.#schedule.suspectIntervalMs / 10);
      this.#arm(entry.dueAt);
    }
  }

  /** Begins no further probe; resolves when none is running any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#pulse?.cancel();
    this.#entries.clear();
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #arm(at: number): void {
    if (this.#closed || at >= this.#armedFor) return;
    this.#timer?.cancel();
    this.#armedFor = at;
    this.#timer = this.#clock.setTimeout(this.#tick, Math.max(0, at - this.#clock.now()), { unref: true });
  }

  readonly #tick = (): void => {
    this.#armedFor = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    const due = [...this.#entries]
      .filter((entry) => !entry.running && entry.dueAt <= now)
      .sort((a, b) => a.dueAt - b.dueAt);
    for (const entry of due) if (this.#running < this.#schedule.maxConcurrent) this.#visit(entry, now);
    this.#armNext();
  };

  #armNext(): void {
    if (this.#running >= this.#schedule.maxConcurrent) return; // the end of one arms again
    let next = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries) if (!entry.running && entry.dueAt < next) next = entry.dueAt;
    if (next < Number.POSITIVE_INFINITY) this.#arm(next);
  }

  #visit(entry: Entry, now: number): void {
    const enoughKnown = !entry.target.isSuspect && now - entry.target.lastSuccessAt < this.#schedule.intervalMs;
    if (enoughKnown) this.#plan(entry, now);
    else void this.#probe(entry, now);
  }

  async #probe(entry: Entry, since: number): Promise<void> {
    entry.running = true;
    this.#running++;
    this.#beat();
    const error = await entry.target.probe().then(
      () => undefined,
      (thrown: unknown) => thrown ?? new Error("rejected with nothing"),
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
    const { intervalMs, suspectIntervalMs } = this.#schedule;
    const suspect = entry.target.isSuspect;
    entry.intervalMs = suspect
      ? Math.min(intervalMs, entry.intervalMs < intervalMs ? entry.intervalMs * 1.5 : suspectIntervalMs)
      : intervalMs;
    entry.dueAt = now + entry.intervalMs * (0.8 + this.#random() * 0.4);
  }

  /** While probes run, a pulse shows whether the event loop kept its pace. */
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
