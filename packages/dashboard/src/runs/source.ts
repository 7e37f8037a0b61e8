/** A metric of a run. */
export interface SourceCurve {
  readonly name: string;
  readonly last: number | undefined;
  /** Some hundred values at their steps, in the order of steps. */
  points(): readonly (readonly [step: number, value: number])[];
}

/** A training run, in short. */
export interface SourceRun {
  readonly run: string;
  readonly status: "running" | "finished" | "failed";
  /** Whether this process writes it now. */
  readonly isOpen: boolean;
  /** Times are as in ISO 8601. */
  readonly startedAt: string;
  readonly updatedAt: string;
  readonly endedAt: string | undefined;
  readonly model?: string | undefined;
  readonly seed?: number | undefined;
  readonly config: string | undefined;
  readonly result: string | undefined;
  readonly error: { readonly code: string | undefined; readonly message: string } | undefined;
  readonly step: number | undefined;
  /** Steps after which it was resumed, and after which a checkpoint was saved. */
  readonly resumes: readonly number[];
  readonly checkpoints: readonly number[];
  readonly metrics: readonly SourceCurve[];
}

/** Runs, newest first, and those that cannot be read. */
export interface SourceRuns {
  readonly runs: readonly SourceRun[];
  readonly unreadable: readonly { readonly run: string; readonly reason: string }[];
  readonly total: number;
  /** Whether more is still to be read. */
  readonly isBehind: boolean;
}

/** Whose training runs are shown: a `RunLog` of `@steward/training`, or anything else that can be followed. */
export interface RunSource {
  /** Gives what looks at the runs as often as it is asked, never twice at once. It is forgotten when no one asks any more. */
  follow(): { look(): Promise<SourceRuns> };
}
