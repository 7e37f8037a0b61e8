import { StewardError, type Clock, type StopContext } from "@steward/core";
import {
  type AnyDefinition,
  RESOURCE_TIMEOUTS,
  specOf,
  TimerEntry,
  type TimingWheel,
  timingWheelOf,
} from "@steward/core/container";
import { atOnce } from "../stop/stop.ts";

/** The last part of the time for a cleanup, once its signal has been aborted: this part of it, at most that many ms. */
const FORCE_SHARE = 0.1;
const LONGEST_FORCE_MS = 250;
/** How long something is waited for before its deadline is set, in ms: most of it has ended then. */
const FRESH_MS = 10;
/** What the cleanup of a value is given. The signal is made when it is asked for: most cleanups do not. */
export class CleanupContext implements StopContext {
  #abort: AbortController | undefined;

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  /** Says that time is over. */
  abort(reason: unknown): void {
    this.#abort?.abort(reason);
  }
}

/** What is waited for. */
export interface Subject {
  readonly definition: AnyDefinition;
  readonly phase: "start" | "cleanup";
  /** What a cleanup was given. */
  readonly context: CleanupContext | undefined;
}

/**
 * Something that waits for starts or cleanups of a scope or a session, for one after the other. It is called back and
 * awaits nothing, because what is awaited cannot be given up without a promise more for each.
 */
export abstract class Wait {
  /** Changes with everything it waits for. */
  turn = 0;
  /** Neighbours among those that wait. */
  before: Wait | undefined = undefined;
  after: Wait | undefined = undefined;
  /** Set for what has been waited for for a while. */
  deadline: Deadline | undefined = undefined;

  /** What it waits for now. */
  abstract readonly subject: Subject | undefined;

  /** Waits for it no longer. */
  abstract giveUp(reason: Error): void;
}

/** When something is given up. The signal of a cleanup aborts before that. */
class Deadline extends TimerEntry {
  readonly #bounds: Bounds;
  readonly #wait: Wait;
  readonly #subject: Subject;
  readonly #timeoutMs: number;
  readonly #forceMs: number;
  #isForced: boolean;

  constructor(bounds: Bounds, wait: Wait, subject: Subject) {
    super();
    this.#bounds = bounds;
    this.#wait = wait;
    this.#subject = subject;
    this.#timeoutMs = timeoutMsOf(subject);
    this.#isForced = subject.context === undefined;
    this.#forceMs = this.#isForced ? 0 : Math.min(LONGEST_FORCE_MS, this.#timeoutMs * FORCE_SHARE);
    this.deadline = bounds.clock.now() + this.#timeoutMs - this.#forceMs;
  }

  override expire(): void {
    if (this.#isForced) return this.#bounds.giveUp(this.#wait, `within ${this.#timeoutMs} ms`, undefined);
    this.#isForced = true;
    this.#subject.context?.abort(new Error("its time is over"));
    this.deadline += this.#forceMs;
    this.#bounds.wheel.add(this);
  }
}

/**
 * The time that starts and cleanups of scopes and sessions have: each the timeout of its resource. What takes longer is
 * given up, so that neither a handler nor the cleanups behind it wait for ever.
 */
export class Bounds {
  readonly clock: Clock;
  readonly wheel: TimingWheel;
  /** All that wait, linked through themselves. */
  #first: Wait | undefined;
  #isArmed = false;
  /** Why nothing is waited for any more. */
  #hurry: Error | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
    this.wheel = timingWheelOf(clock);
  }

  /** It begins to wait for its subject. */
  add(wait: Wait): void {
    wait.turn++;
    wait.after = this.#first;
    if (this.#first !== undefined) this.#first.before = wait;
    this.#first = wait;
    if (this.#hurry !== undefined) return void this.#hasten(wait, this.#hurry);
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.clock.setTimeout(() => this.#setDeadlines(), FRESH_MS, { unref: true });
  }

  /** What it waits for has ended. */
  remove(wait: Wait): void {
    const { before, after } = wait;
    wait.turn++;
    if (before !== undefined) before.after = after;
    else if (this.#first === wait) this.#first = after;
    if (after !== undefined) after.before = before;
    wait.before = wait.after = undefined;
    if (wait.deadline === undefined) return;
    this.wheel.remove(wait.deadline);
    wait.deadline = undefined;
  }

  /** The newest stand first, so those behind one that has a deadline have theirs. */
  #setDeadlines(): void {
    this.#isArmed = false;
    for (let wait = this.#first; wait !== undefined && wait.deadline === undefined; wait = wait.after) {
      if (wait.subject === undefined) continue;
      wait.deadline = new Deadline(this, wait, wait.subject);
      this.wheel.add(wait.deadline);
    }
  }

  /** Waits for nothing any more that takes time: cleanups are begun in their order all the same. */
  hurry(reason: Error): void {
    if (this.#hurry !== undefined) return;
    this.#hurry = reason;
    for (let wait = this.#first; wait !== undefined; wait = wait.after) void this.#hasten(wait, reason);
  }

  /** What it waits for has its turn, as far as that takes no time. */
  async #hasten(wait: Wait, reason: Error): Promise<void> {
    const { turn } = wait;
    wait.subject?.context?.abort(reason);
    await atOnce();
    if (turn === wait.turn) this.giveUp(wait, "before the time for it was over", reason);
  }

  giveUp(wait: Wait, when: string, cause: Error | undefined): void {
    const { subject } = wait;
    this.remove(wait);
    if (subject !== undefined) wait.giveUp(lateError(subject, when, cause));
  }
}

function lateError({ definition: { name }, phase }: Subject, when: string, cause: Error | undefined): Error {
  return phase === "start"
    ? new StewardError("START_TIMEOUT", `${name}: not ready ${when}; it is released when it arrives`, {
        resource: name,
        retryable: true,
        cause,
      })
    : new StewardError("STOP_TIMEOUT", `${name}: its cleanup did not end ${when}; it is left behind`, {
        resource: name,
        cause,
      });
}

function timeoutMsOf(subject: Subject): number {
  const { startTimeoutMs, stopTimeoutMs } = specOf(subject.definition).settings;
  return subject.phase === "start"
    ? (startTimeoutMs ?? RESOURCE_TIMEOUTS.startTimeoutMs)
    : (stopTimeoutMs ?? RESOURCE_TIMEOUTS.stopTimeoutMs);
}
