import type { Clock, Timer } from "@steward/core";
import { describeError } from "@steward/core/driver";
import type { RunSource, SourceCurve, SourceRun, SourceRuns } from "./source.ts";

/** A number as JSON can say it. */
type Plain = number | "NaN" | "Infinity" | "-Infinity";

/** A metric of a run that is shown. */
export interface CurveView {
  readonly name: string;
  readonly last: Plain | undefined;
  /** Steps and values; none for a run that was not asked for. */
  readonly points: readonly (readonly [number, Plain])[];
}

/** A training run as a dashboard shows it. */
export interface RunView extends Omit<SourceRun, "metrics"> {
  readonly metrics: readonly CurveView[];
}

/** All training runs that are shown. */
export interface RunsView {
  readonly schema: 1;
  /** When it was read, in ms since 1970. */
  readonly at: number;
  /** Why there is nothing to show, or no news. */
  readonly reason: string | undefined;
  readonly runs: readonly RunView[];
  readonly unreadable: readonly { readonly run: string; readonly reason: string }[];
  readonly total: number;
  readonly isBehind: boolean;
}

/** How long all who ask get the same. */
const FRESH_MS = 900;
/** How long after the last question what was read is kept. */
const LINGER_MS = 10_000;
const MOST_RUNS = 50;
const MOST_CURVES = 6;
const MOST_METRICS = 24;
const MOST_POINTS = 600;
const MOST_MARKS = 100;
/** As many as a drawing can show. */
const DIGITS = 6;
const MOST_TEXT = 200;
const MOST_LONG_TEXT = 2_000;

const NOTHING: SourceRuns = { runs: [], unreadable: [], total: 0, isBehind: false };

/** Training runs: looked at when somebody asks, once a second however many ask, and forgotten after the last one. */
export class Runs {
  readonly #find: () => RunSource | undefined;
  readonly #clock: Clock;
  #follower: ReturnType<RunSource["follow"]> | undefined;
  #looking: Promise<void> | undefined;
  #seen = NOTHING;
  #seenAt = Number.NEGATIVE_INFINITY;
  #reason: string | undefined;
  #forgetting: Timer | undefined;

  constructor(find: () => RunSource | undefined, clock: Clock) {
    this.#find = find;
    this.#clock = clock;
  }

  /** How they are, with the curves of those that are asked for. */
  async view(shown: readonly string[]): Promise<RunsView> {
    this.#forgetting?.cancel();
    this.#forgetting = this.#clock.setTimeout(() => this.forget(), LINGER_MS, { unref: true });
    if (this.#clock.now() - this.#seenAt >= FRESH_MS)
      await (this.#looking ??= this.#look().finally(() => (this.#looking = undefined)));
    const { runs, unreadable, total, isBehind } = this.#seen;
    const wanted = new Set(shown.slice(0, MOST_CURVES));
    return {
      schema: 1,
      at: this.#clock.wallNow(),
      reason: this.#reason,
      runs: runs.slice(0, MOST_RUNS).map((run) => viewOf(run, wanted.has(run.run))),
      unreadable: unreadable.slice(0, MOST_RUNS).map(({ run, reason }) => ({ run: cut(run), reason: cut(reason) })),
      total,
      isBehind,
    };
  }

  /** Forgets what was read. */
  forget(): void {
    this.#forgetting?.cancel();
    this.#follower = undefined;
    this.#seen = NOTHING;
    this.#seenAt = Number.NEGATIVE_INFINITY;
  }

  async #look(): Promise<void> {
    try {
      this.#follower ??= this.#find()?.follow();
      this.#seen = (await this.#follower?.look()) ?? NOTHING;
      this.#reason = this.#follower === undefined ? "the run log has not been started" : undefined;
    } catch (error) {
      this.#follower = undefined; // what is found next time may be another one
      this.#reason = cut(describeError(error)); // what was seen last stays
    }
    this.#seenAt = this.#clock.now();
  }
}

/** Texts come from files that anything may have written: each is cut, and what is none becomes one. */
function viewOf(run: SourceRun, withPoints: boolean): RunView {
  const { status, isOpen, startedAt, updatedAt, endedAt, model, seed, config, result, error, step } = run;
  return {
    run: cut(run.run),
    status: status === "finished" || status === "failed" ? status : "running",
    isOpen,
    startedAt: cut(startedAt),
    updatedAt: cut(updatedAt),
    endedAt: endedAt && cut(endedAt),
    model: model && cut(model),
    seed: seed === undefined || typeof seed === "object" ? undefined : Number(seed),
    config: config && cut(config, MOST_LONG_TEXT),
    result: result && cut(result, MOST_LONG_TEXT),
    error: error && { code: error.code && cut(error.code), message: cut(error.message, MOST_LONG_TEXT) },
    step,
    resumes: run.resumes.slice(-MOST_MARKS),
    checkpoints: run.checkpoints.slice(-MOST_MARKS),
    metrics: run.metrics.slice(0, MOST_METRICS).map((curve) => curveOf(curve, withPoints)),
  };
}

function curveOf(curve: SourceCurve, withPoints: boolean): CurveView {
  const points = withPoints ? curve.points().slice(-MOST_POINTS) : [];
  const last = curve.last === undefined ? undefined : plain(curve.last);
  return { name: cut(curve.name), last, points: points.map(([step, value]) => [step, plain(value)]) };
}

/** JSON has no NaN, which is what one wants to see of a run that went wrong. */
function plain(value: number): Plain {
  if (Number.isFinite(value)) return Number(value.toPrecision(DIGITS));
  return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

/** An object, of which not every one has a text, becomes none. */
function cut(text: unknown, most = MOST_TEXT): string {
  return typeof text === "object" ? "" : String(text).slice(0, most);
}
