/** A line of what has to be shown, with what was seen. */
export interface Verdict {
  readonly line: string;
  readonly measured: string;
  readonly wanted: string;
  readonly met: boolean;
}
