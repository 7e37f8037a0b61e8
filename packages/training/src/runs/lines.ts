import { trainingError } from "../errors.ts";

/** Numbers of one step, by name. */
export type Metrics = Readonly<Record<string, number>>;

/** What is known of a run when it begins. Everything here is written to the file. */
export interface RunFacts {
  /** What is trained. */
  readonly model?: string | undefined;
  /** Where its chance comes from. */
  readonly seed?: number | undefined;
  /** Options, versions and whatever else makes the run; JSON. */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
}

/** A line of the file of a run. */
export type RunLine =
  | ({ readonly type: "start"; readonly run: string; readonly at: string } & RunFacts)
  | { readonly type: "step"; readonly at: string; readonly step: number; readonly metrics: Metrics }
  | { readonly type: "checkpoint" | "resume"; readonly at: string; readonly step: number }
  | {
      readonly type: "end";
      readonly at: string;
      readonly status: "finished" | "failed";
      readonly result?: Readonly<Record<string, unknown>> | undefined;
      readonly error?: { readonly code: string | undefined; readonly message: string } | undefined;
    };

/** A step of a run, as it is read back. */
export interface RunStep {
  /** Counts from 1. */
  readonly step: number;
  /** When it was written, as in ISO 8601. */
  readonly at: string;
  readonly metrics: Metrics;
}

/** A run, as it is read back. */
export interface RunRecord extends RunFacts {
  /** Its id. */
  readonly run: string;
  /** `running` without an end: it is at work, or was killed. */
  readonly status: "running" | "finished" | "failed";
  /** When it began, as in ISO 8601. */
  readonly startedAt: string;
  /** When it ended, if it did. */
  readonly endedAt: string | undefined;
  /** Its steps; those that were done again after a resume are there once, as they were done last. */
  readonly steps: readonly RunStep[];
  /** Steps after which a checkpoint was saved. */
  readonly checkpoints: readonly number[];
  /** How often it was resumed. */
  readonly resumes: number;
  /** What `finish` was given. */
  readonly result: Readonly<Record<string, unknown>> | undefined;
  /** What `fail` was given. */
  readonly error: { readonly code: string | undefined; readonly message: string } | undefined;
}

/** JSON knows neither NaN nor infinity, which are what one wants to see of a run that went wrong. */
const NOT_FINITE: ReadonlyMap<unknown, number> = new Map(
  [Number.NaN, Infinity, -Infinity].map((each) => [`${each}`, each]),
);

/** A line, with its end. */
export function textOf(line: RunLine): string {
  const text = JSON.stringify(line, (_key, value: unknown) =>
    typeof value === "number" && !Number.isFinite(value) ? String(value) : value,
  );
  return `${text}\n`;
}

/** Bytes of whole lines; what follows the last end of a line was torn off by a kill. */
export function wholeLines(file: Buffer): number {
  return file.lastIndexOf(0x0a) + 1;
}

/**
 * Reads the file of a run. A torn last line is left out.
 * @throws {RUN_LOG_INVALID} when another line cannot be read.
 */
export function recordOf(run: string, file: Buffer): RunRecord {
  const lines = file
    .toString("utf8", 0, wholeLines(file))
    .split("\n")
    .slice(0, -1)
    .map((text, index) => lineOf(run, text, index + 1));
  const [start] = lines;
  if (start?.type !== "start") throw invalid(run, 1, "is no start of a run");
  const { at: startedAt, model, seed, config } = start;
  const steps = new Map<number, RunStep>();
  let checkpoints: number[] = [];
  let resumes = 0;
  let end: Extract<RunLine, { type: "end" }> | undefined;
  for (const line of lines) {
    if (line.type === "end") end = line;
    else if (line.type === "resume") {
      resumes += 1;
      end = undefined;
      for (const step of steps.keys()) if (step > line.step) steps.delete(step);
      checkpoints = checkpoints.filter((step) => step <= line.step);
    } else if (line.type === "checkpoint") checkpoints.push(line.step);
    else if (line.type === "step")
      steps.set(line.step, { step: line.step, at: line.at, metrics: numbers(line.metrics) });
  }
  const ended = { endedAt: end?.at, result: end?.result, error: end?.error };
  return {
    run,
    status: end?.status ?? "running",
    startedAt,
    model,
    seed,
    config,
    steps: [...steps.values()],
    checkpoints,
    resumes,
    ...ended,
  };
}

/** Metrics as they were before they were written as JSON. */
export function numbers(metrics: Readonly<Record<string, unknown>>): Metrics {
  const all = Object.entries(metrics).map(([name, value]) => [name, NOT_FINITE.get(value) ?? numberOf(value)]);
  return Object.fromEntries(all) as Metrics;
}

/** Not of every object can a number be made. */
function numberOf(value: unknown): number {
  return typeof value === "object" && value !== null ? Number.NaN : Number(value);
}

const TYPES: ReadonlySet<unknown> = new Set(["start", "step", "checkpoint", "resume", "end"]);

/**
 * Reads one line.
 * @throws {RUN_LOG_INVALID} when it is none.
 */
export function lineOf(run: string, text: string, number: number): RunLine {
  try {
    const line = JSON.parse(text) as RunLine; // its type is looked at
    if (TYPES.has(line.type) && (line.type !== "step" || hasMetrics(line.metrics))) return line;
  } catch {
    // said below
  }
  throw invalid(run, number, "cannot be read");
}

function hasMetrics(metrics: unknown): boolean {
  return typeof metrics === "object" && metrics !== null;
}

function invalid(run: string, number: number, why: string): Error {
  return trainingError("RUN_LOG_INVALID", `run ${run}: line ${number} ${why}`);
}
