import { systemClock, type Clock, type Timer } from "./clock.ts";

const TICK_MS = 8;
const SLOTS = 256;
/** A firing that comes later than this shows an event loop that stood still, in ms. */
const LATE_MS = 100;

/** Something with an instant at which it expires. Subclass it: the fields link it into the wheel without an allocation. */
export abstract class TimerEntry {
  /** Instant of expiry, in ms of the clock. */
  deadline: number = Number.POSITIVE_INFINITY;
  /** @internal Neighbours in the wheel's slot. */
  before: TimerEntry | undefined = undefined;
  /** @internal */
  after: TimerEntry | undefined = undefined;
  /** @internal */
  slot = -1;

  /** Called once, at most 8 ms after the deadline. */
  abstract expire(): void;
}

/**
 * One timer for all deadlines of a clock: a hashed wheel with 8 ms ticks. Adding and removing cost no timer of Node.
 *
 * The timer behind it does not keep the process alive, for it may be set long after the last deadline was removed.
 * Where a process would end with deadlines pending, it is held until they have expired: see {@link holdProcess}.
 */
export class TimingWheel {
  readonly #clock: Pick<Clock, "now" | "setTimeout">;
  readonly #slots: (TimerEntry | undefined)[] = new Array<TimerEntry | undefined>(SLOTS).fill(undefined);
  #count = 0;
  #tick: number;
  #armedFor = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  /** True when this firing was put off already: on a machine that stalls again and again no deadline would ever pass. */
  #putOff = false;

  constructor(clock: Pick<Clock, "now" | "setTimeout">) {
    this.#clock = clock;
    this.#tick = Math.floor(clock.now() / TICK_MS);
  }

  /** How many deadlines are pending. */
  get size(): number {
    return this.#count;
  }

  /** Adds something that expires at its `deadline`. */
  add(item: TimerEntry): void {
    const tick = Math.max(Math.ceil(item.deadline / TICK_MS), this.#tick + 1);
    const slot = tick % SLOTS;
    const head = this.#slots[slot];
    item.slot = slot;
    item.after = head;
    if (head !== undefined) head.before = item;
    this.#slots[slot] = item;
    this.#count++;
    if (item.deadline < this.#armedFor) this.#wakeAt(item.deadline);
  }

  /** Takes something out again. Does nothing when it is not in. */
  remove(item: TimerEntry): void {
    if (item.slot < 0) return;
    if (item.before === undefined) this.#slots[item.slot] = item.after;
    else item.before.after = item.after;
    if (item.after !== undefined) item.after.before = item.before;
    item.before = item.after = undefined;
    item.slot = -1;
    this.#count--;
  }

  /** Keeps the process alive until the next deadline, if there is one: its caller has to learn that it passed. */
  holdProcess(): void {
    if (this.#count > 0) this.#clock.setTimeout(() => {}, Math.max(1, this.#earliest() + TICK_MS - this.#clock.now()));
  }

  #wakeAt(deadline: number): void {
    this.#timer?.cancel();
    this.#armedFor = deadline;
    this.#timer = this.#clock.setTimeout(this.#run, Math.max(0, deadline - this.#clock.now()), { unref: true });
  }

  readonly #run = (): void => {
    const now = this.#clock.now();
    this.#putOff = now - this.#armedFor > LATE_MS && !this.#putOff;
    if (this.#putOff) return this.#wakeAt(now + 1); // answers that have come meanwhile are read first
    const target = Math.ceil(now / TICK_MS);
    const steps = Math.min(target - this.#tick, SLOTS);
    this.#armedFor = Number.POSITIVE_INFINITY;
    for (let i = 0; i < steps; i++) this.#expire((target - i) % SLOTS, now);
    this.#tick = Math.floor(now / TICK_MS);
    if (this.#count > 0) this.#wakeAt(Math.max(this.#earliest(), now + 1));
    else this.#timer = undefined;
  };

  /** Takes out everything that is due before any of it is notified: what one does may remove its neighbours. */
  #expire(slot: number, now: number): void {
    let due: TimerEntry[] | undefined;
    for (let item = this.#slots[slot]; item !== undefined; item = item.after)
      if (item.deadline <= now) (due ??= []).push(item);
    if (due === undefined) return;
    for (const item of due) this.remove(item);
    for (const item of due) item.expire();
  }

  /** Scans all pending items; runs once per firing, not per call. */
  #earliest(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (let item of this.#slots)
      for (; item !== undefined; item = item.after) if (item.deadline < earliest) earliest = item.deadline;
    return earliest;
  }
}

const wheels = new WeakMap<object, TimingWheel>();

function newWheel(clock: Clock): TimingWheel {
  const wheel = new TimingWheel(clock);
  if (clock === systemClock) process.on("beforeExit", () => wheel.holdProcess());
  return wheel;
}

/** The wheel of a clock. All resources on one clock share it. */
export function timingWheelOf(clock: Clock): TimingWheel {
  let wheel = wheels.get(clock);
  if (wheel === undefined) wheels.set(clock, (wheel = newWheel(clock)));
  return wheel;
}
