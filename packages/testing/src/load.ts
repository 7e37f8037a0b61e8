import { Alarm } from "./waits.ts";

/** A span in which this process was not let run, in ms of `performance.now()`. */
interface Pause {
  readonly from: number;
  readonly to: number;
}

const TURN_MS = 5;
/** Turns that come later than this are looked at; a timer is a millisecond or two late on an idle machine, too. */
const LATE_MS = 8;

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

/**
 * Notes when the machine did not let this process run, so that a time can be given as it would have been on a machine
 * of one's own: bounds hold for that, however busy the real one is. Times are in ms of `performance.now()`.
 */
export class Watch implements Disposable {
  readonly #pauses: Pause[] = [];
  readonly #timer: NodeJS.Timeout = setInterval(() => this.#look(), TURN_MS);
  #turn = performance.now();
  #cpu = cpuMs();

  /** What this process computed itself in a long turn is no pause. */
  #look(): void {
    const [now, cpu] = [performance.now(), cpuMs()];
    const stolen = now - this.#turn - TURN_MS - (cpu - this.#cpu);
    if (now - this.#turn > LATE_MS && stolen > 0) this.#pauses.push({ from: now - stolen, to: now });
    [this.#turn, this.#cpu] = [now, cpu];
  }

  /** How much of a span the machine took, in ms. */
  stolen(from: number, to: number = performance.now()): number {
    this.#look();
    return this.#pauses.reduce((sum, p) => sum + Math.max(0, Math.min(p.to, to) - Math.max(p.from, from)), 0);
  }

  /** How long a span was, without what the machine took of it, in ms. */
  elapsed(from: number, to: number = performance.now()): number {
    return to - from - this.stolen(from, to);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** One call of a load: when it began and ended, in ms of `performance.now()`, and how. */
export interface Sample {
  readonly began: number;
  readonly ended: number;
  /** `undefined` where it succeeded. */
  readonly error: unknown;
  /** The code of its error, or its message where it has none; `undefined` where it succeeded. */
  readonly code: string | undefined;
  /** Whether an alarm of the load's `lateMs` that was set with it rang before it ended. */
  readonly isLate: boolean;
}

/** A call that the machine kept waiting for longer than this cannot be held to its deadline, in ms. */
const EXCUSED_MS = 200;
const PATIENCE_MS = 20_000;
const AT_ONCE = 10;
const TRIALS = 60;

/** Successes a second of as many calls as are tried at once; calls that fail here only show that the machine is slow. */
async function capacity(call: () => PromiseLike<unknown>): Promise<number> {
  let [left, succeeded] = [TRIALS, 0];
  const worker = async (): Promise<void> => {
    while (left-- > 0)
      await call().then(
        () => succeeded++,
        () => {},
      );
  };
  const since = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return (succeeded / (performance.now() - since)) * 1_000;
}

let isWarm = false;

/**
 * Calls that begin at a fixed rate, whatever becomes of the earlier ones, as those of real users do. Times are in ms of
 * `performance.now()`.
 */
export class Load {
  readonly samples: Sample[] = [];
  readonly watch: Watch = new Watch();
  /** Calls a second. */
  readonly rate: number;
  readonly #since = performance.now();
  readonly #call: () => PromiseLike<unknown>;
  readonly #timer: NodeJS.Timeout;
  readonly #running = new Set<PromiseLike<void>>();
  readonly #lateMs: number | undefined;
  #begun = 0;

  private constructor(rate: number, call: () => PromiseLike<unknown>, lateMs: number | undefined) {
    this.rate = rate;
    this.#lateMs = lateMs;
    this.#call = call;
    this.#timer = setInterval(() => {
      const due = ((performance.now() - this.#since) * rate) / 1_000;
      for (; this.#begun < due; this.#begun++) this.#one();
    }, TURN_MS);
  }

  /**
   * Begins a load of at most `perSecond`, and of no more than a quarter of what this machine can do just now: beyond
   * that it would be the machine that is tested. Code that is cold takes many times as long, so it is warmed first:
   * about a hundred calls are made before the load begins.
   *
   * @param lateMs From when on a call is late, in ms. Default: never.
   */
  static async begin(perSecond: number, call: () => PromiseLike<unknown>, lateMs?: number): Promise<Load> {
    if (!isWarm) await capacity(call);
    isWarm = true;
    return new Load(Math.min(perSecond, Math.max(1, (await capacity(call)) / 4)), call, lateMs);
  }

  #one(): void {
    const began = performance.now();
    const alarm = this.#lateMs === undefined ? undefined : new Alarm(this.#lateMs);
    const done = (error: unknown): void => {
      alarm?.[Symbol.dispose]();
      this.samples.push({
        began,
        ended: performance.now(),
        error,
        code: codeOf(error),
        isLate: alarm?.hasRung === true,
      });
      this.#running.delete(run);
    };
    const run: PromiseLike<void> = this.#call().then(() => done(undefined), done);
    this.#running.add(run);
  }

  /** Lets it go on for a while. @returns the instant after it. */
  async run(forMs: number): Promise<number> {
    await new Promise((resolve) => setTimeout(resolve, forMs));
    return performance.now();
  }

  /** Begins no more calls, and waits for the last one, for `patienceMs` at most. @returns how many have not ended. */
  async end(patienceMs = 5_000): Promise<number> {
    clearInterval(this.#timer);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, patienceMs)));
    await Promise.race([Promise.all(this.#running), late]);
    clearTimeout(timer);
    this.watch[Symbol.dispose]();
    return this.#running.size;
  }

  /**
   * Lets it go on until as many calls as begin in half a second, all of them begun after an instant, succeeded one after
   * the other.
   *
   * @returns whether that came within 20 s: a bound for a test that fails, not an expectation.
   */
  async runUntilWell(since: number): Promise<boolean> {
    const wanted = Math.ceil(this.rate / 2);
    const isWell = (): boolean => {
      const last = this.samples.slice(-wanted);
      return last.length === wanted && last.every(({ began, error }) => began >= since && error === undefined);
    };
    for (const from = performance.now(); performance.now() - from < PATIENCE_MS; await this.run(TURN_MS))
      if (isWell()) return true;
    return false;
  }

  /** Calls that were late, but for those that the machine kept waiting. */
  get late(): Sample[] {
    return this.samples.filter(({ began, ended, isLate }) => isLate && this.watch.stolen(began, ended) < EXCUSED_MS);
  }

  /** Every call that failed, also those that the machine kept from being answered: for what did happen. */
  get failures(): Sample[] {
    return this.samples.filter(({ error }) => error !== undefined);
  }

  /** For what must not happen: calls that began in a span and failed, but for those that the machine kept from being answered. */
  failed(from = 0, to: number = Number.POSITIVE_INFINITY): Sample[] {
    return this.samples.filter(
      ({ began, ended, error }) =>
        began >= from && began < to && error !== undefined && this.watch.stolen(began, ended) < EXCUSED_MS,
    );
  }

  /** How often each outcome came, for messages of tests. */
  get outcomes(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { code = "ok" } of this.samples) counts[code] = (counts[code] ?? 0) + 1;
    return counts;
  }
}

function codeOf(error: unknown): string | undefined {
  if (error === undefined) return undefined;
  if (!(error instanceof Error)) return String(error);
  return "code" in error ? String(error.code) : error.message;
}
