/** What an instance is to do. */
export interface Plan {
  readonly url: string;
  /** Where it listens to the others: a proxy, which may be cut. */
  readonly busUrl: string;
  readonly truthUrl: string;
  readonly prefix: string;
  readonly clockOffMs: number;
  readonly localTtlMs: number;
  readonly hasBus: boolean;
  /** How long a value may still be given after it was made void. */
  readonly boundMs: number;
  /** Which part of the protocol is taken out. */
  readonly control?: string | undefined;
}

/** What instances have done. */
export interface Counts {
  readonly reads: number;
  /** Reads of what was void for longer than it may be given. */
  readonly stale: number;
  /** Reads of what was void, and may still be given. */
  readonly late: number;
  readonly writes: number;
  /** Invalidations that Redis did not take at once. */
  readonly unsent: number;
  readonly failed: number;
}

/** What an instance sends now and then. */
export interface Sent {
  readonly counts: Counts;
  readonly failure: string;
  /** Late writes that were refused since it started. */
  readonly refused: number;
}
