/** What a run of the benches is asked for. */
export interface Settings {
  /** Interleaved rounds; fewer than 9 prove nothing. */
  readonly rounds: number;
  /** The program `node` that is measured on. */
  readonly node: string;
  /** A built checkout of another time, that ours is measured beside. */
  readonly against?: string | undefined;
  /** Says what is going on; not part of the results. */
  readonly say: (what: string) => void;
}
