import type { Dispatcher } from "undici";
import type { RawHandler } from "../exchange/handlers.ts";

/** Whose request it is: it learns what becomes of it, and can be failed from outside. */
export interface Sender extends RawHandler {
  fail(error: unknown): void;
}

/** What carries one exchange at a time (with HTTP/2: many) to its origin. */
export interface Connection {
  /** Sends a request; `sender` learns everything else. */
  send(options: Dispatcher.DispatchOptions, sender: Sender): void;
  /** Its handler was asked to go ahead, and does not need it any more. */
  decline(abort: (error?: Error) => void): void;
  /** The request is over, or was given up before it was sent. */
  release(): void;
  /** The request failed here; `sent` says whether it had left. */
  broke(sent: boolean): void;
  /** Its socket now belongs to somebody else. */
  detached(): void;
  /** The next number of a clock that only orders: what was sent before which answer. */
  tick(): number;
  /** The peer has shown that it lives. */
  answered(): void;
  /** A request sent at tick `sent` got no answer: connections that have shown no life since are not used again. */
  suspect(sent: number): void;
}

/** The connections to one origin. */
export interface Connections {
  take(): Connection;
  /** Uses none of the present connections again; calls in flight finish. */
  retire(): void;
  destroy(error: Error): Promise<void>;
  stats(): ConnectionStats;
}

/** How many connections there are. */
export interface ConnectionStats {
  /** Open connections. */
  readonly size: number;
  /** Open connections that carry nothing now. */
  readonly idle: number;
  /** Connections that were given up because a call on them, or on a sibling, got no answer. */
  readonly retired: number;
}
