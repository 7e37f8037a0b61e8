import { numbers, type RunFacts, type RunLine, type RunRecord } from "../lines.ts";
import { Curve, type CurvePoint } from "./curve.ts";

/** A metric of a run as it is drawn. */
export interface RunCurve {
  readonly name: string;
  /** The value that was noted last. */
  readonly last: number | undefined;
  /** At most 501 of its values, with their steps; peaks and what is not finite are among them. */
  points(): readonly CurvePoint[];
}

/** A run in short, of a bounded size however long it was. */
export interface RunSketch extends Omit<RunFacts, "config"> {
  /** Its id. */
  readonly run: string;
  /** `running` without an end: it is at work, or was killed. */
  readonly status: RunRecord["status"];
  /** Whether this process writes it now. */
  readonly isOpen: boolean;
  /** When it began, as in ISO 8601. */
  readonly startedAt: string;
  /** When its last line was written. */
  readonly updatedAt: string;
  /** When it ended, if it did. */
  readonly endedAt: string | undefined;
  /** What it began with, as JSON; `undefined` where that is longer than 2,000 characters. */
  readonly config: string | undefined;
  /** What `finish` was given, likewise. */
  readonly result: string | undefined;
  /** What `fail` was given. */
  readonly error: RunRecord["error"];
  /** The last step. */
  readonly step: number | undefined;
  /** Steps after which it was resumed, the last 100; a run without a step is begun. */
  readonly resumes: readonly number[];
  /** Steps after which a checkpoint was saved, the last 100. */
  readonly checkpoints: readonly number[];
  /** At most 24, in the order in which they came. */
  readonly metrics: readonly RunCurve[];
}

const MOST_TEXT = 2_000;
const MOST_MARKS = 100;
const MOST_METRICS = 24;

/** Takes the lines of a run one by one, and keeps what is drawn of them. */
export class SketchMaker {
  readonly #run: string;
  #start: Omit<Extract<RunLine, { type: "start" }>, "config"> | undefined;
  #config: string | undefined;
  #end: Omit<Extract<RunLine, { type: "end" }>, "result"> | undefined;
  #result: string | undefined;
  #updatedAt = "";
  #step: number | undefined;
  #resumes: number[] = [];
  #checkpoints: number[] = [];
  readonly #curves = new Map<string, Curve>();

  constructor(run: string) {
    this.#run = run;
  }

  /** @returns whether it can be the next line. */
  take(line: RunLine): boolean {
    if ((line.type === "start") !== (this.#start === undefined)) return false;
    this.#updatedAt = String(line.at);
    if (line.type === "start") {
      const { config, ...start } = line;
      [this.#start, this.#config] = [start, short(config)];
    } else if (line.type === "end") {
      const { result, ...end } = line;
      [this.#end, this.#result] = [end, short(result)];
    } else if (Number.isSafeInteger(line.step)) this.#takeStep(line);
    else return false;
    return true;
  }

  #takeStep(line: Extract<RunLine, { readonly step: number }>): void {
    const { step } = line;
    if (line.type === "checkpoint") keep(this.#checkpoints, step);
    else if (line.type === "resume") this.#resume(step);
    else if (line.type === "step") {
      if (this.#step !== undefined && step <= this.#step) this.#cut(step - 1);
      this.#step = step;
      for (const [name, value] of Object.entries(numbers(line.metrics))) this.#curve(name)?.add(step, value);
    }
  }

  #resume(step: number): void {
    this.#end = this.#result = undefined;
    // What was only written down to wait for its turn has been begun, not resumed.
    if (this.#step !== undefined) keep(this.#resumes, step);
    this.#cut(step);
  }

  #cut(step: number): void {
    for (const curve of this.#curves.values()) curve.cut(step);
    this.#checkpoints = this.#checkpoints.filter((each) => each <= step);
    if (this.#step !== undefined && this.#step > step) this.#step = step;
  }

  #curve(name: string): Curve | undefined {
    const known = this.#curves.get(name);
    if (known !== undefined || this.#curves.size === MOST_METRICS) return known;
    const made = new Curve(name);
    this.#curves.set(name, made);
    return made;
  }

  /** What is known so far; `undefined` before the first line. */
  sketch(isOpen: boolean): RunSketch | undefined {
    if (this.#start === undefined) return undefined;
    const { at: startedAt, model, seed } = this.#start;
    return {
      run: this.#run,
      status: this.#end?.status ?? "running",
      isOpen,
      startedAt,
      updatedAt: this.#updatedAt,
      endedAt: this.#end?.at,
      model,
      seed,
      config: this.#config,
      result: this.#result,
      error: this.#end?.error,
      step: this.#step,
      resumes: [...this.#resumes],
      checkpoints: [...this.#checkpoints],
      metrics: [...this.#curves.values()],
    };
  }
}

function keep(marks: number[], step: number): void {
  if (marks.push(step) > MOST_MARKS) marks.shift();
}

function short(value: unknown): string | undefined {
  const text = value === undefined ? undefined : JSON.stringify(value);
  return text !== undefined && text.length <= MOST_TEXT ? text : undefined;
}
