/** What a run of the benchmarks is asked for. */
export interface Settings {
  /** Interleaved rounds of CPU measurements; at least 9 for a verdict. */
  readonly rounds: number;
  /** Major versions of Node for what is measured on more than one. */
  readonly nodes: readonly number[];
  /** Says what is going on; not part of the results. */
  readonly say: (what: string) => void;
}
