/** A line of what has to be shown, with what was seen. */
export interface Verdict {
  readonly line: string;
  readonly measured: string;
  readonly wanted: string;
  readonly met: boolean;
}

/** A figure of a drill, of one client. */
export interface Row {
  readonly drill: string;
  readonly driver: string;
  readonly client: string;
  readonly figures: Readonly<Record<string, string | number>>;
}

/** What a drill found. */
export interface Found {
  readonly rows: readonly Row[];
  readonly verdicts: readonly Verdict[];
}
