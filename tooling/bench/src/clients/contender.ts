/** A client at certain settings. */
export interface ClientVariant {
  readonly name: string;
  /** Sets it up and gives what makes one call, and what ends it. */
  open(url: string): Promise<{ readonly call: () => PromiseLike<unknown>; readonly end: () => Promise<unknown> }>;
}

/** What a module of contenders offers: a server of its own, and clients of it. */
export interface ClientContenders {
  readonly variants: readonly ClientVariant[];
  /** Starts the server as a process of its own, so that its CPU is not in ours. */
  launch(): Promise<{ readonly url: string; readonly stop: () => Promise<unknown> }>;
}

/** What one process measured: a figure for each round, so that rounds make pairs. */
export interface ClientSeries {
  readonly name: string;
  readonly cpuUs: readonly number[];
  readonly perSecond: readonly number[];
}

/** The deadline of all who have one, in ms. */
export const DEADLINE_MS = 2_000;

/** Connections of HTTP, and calls at once. */
export const AT_ONCE = 50;

/** Connections to Postgres. */
export const DATABASE_CONNECTIONS = 10;
