import type { StewardError } from "@steward/core";
import type { DriverQuery } from "./driver.ts";

/** Hears the end of a query. */
export interface Runner {
  readonly asText: boolean;
  finished(value: unknown): void;
  failed(error: unknown): void;
}

/** What a query or a lease needs of a connection, ours or one of a client that was handed over. */
export interface Line {
  readonly busy: boolean;
  readonly dead: boolean;
  /** Holds it, also between statements. */
  lease: Revocable | undefined;
  /** Resolves when no cancellation is under way any more; `undefined` when there is none. */
  readonly settled: Promise<unknown> | undefined;
  /** Runs a statement of our own and gives its rows; only a connection of ours can. There must be none running. */
  query?(text: string): Promise<readonly Record<string, unknown>[]>;
  run(query: DriverQuery, runner: Runner): void;
  cancel(reason: StewardError): Promise<unknown>;
  destroy(reason?: StewardError): void;
}

/** Holds a connection, which can be taken from it. */
export interface Revocable {
  revoke(reason: unknown): void;
  /** It is gone. */
  broke(): void;
}

/** Somebody who was let in by the guard and now takes a connection. */
export interface Taker {
  /** True when it keeps the connection for more than one statement. */
  readonly exclusive: boolean;
  /** Takes it. It has to be given back by `release`. */
  take(line: Line): void;
  /** Its connection is taken from it while it runs there: it fails now, and is cancelled. */
  interrupt?(reason: StewardError): void;
  /** There will be none. */
  refuse(error: StewardError): void;
}
