import type { Duplex } from "node:stream";
import type { Clock, Secret } from "@steward/core";
import type { TimingWheel } from "@steward/core/driver";
import type { Dispatcher } from "undici";
import type { Connection } from "../connections/connection.ts";
import type { RequestDurations } from "./requests.ts";
import type { BadStatus, RetrySettings } from "./retry.ts";

/** What a call may ask for besides what undici knows. */
export interface HttpCallOptions {
  /** Longest call in all, in ms; the smallest of this, the session's and the request context's counts. */
  readonly timeoutMs?: number | undefined;
  /** The body is a stream that may take as long as it takes: the total timeout ends at the headers, the idle one counts on. */
  readonly streaming?: boolean | undefined;
}

/** A request as undici takes it, with what we add. */
export type HttpDispatchOptions = Dispatcher.DispatchOptions & HttpCallOptions & { readonly signal?: unknown };

/** The body of an answer that fills its buffer and waits for its reader. */
export interface WaitingBody {
  /** What was asked for. */
  readonly options: HttpDispatchOptions;
  /** Where it was asked for, once a body of this session was left unread. */
  readonly stack: string | undefined;
  /** Since when it waits, in ms of the clock; -1 while it flows. */
  readonly pausedSince: number;
  /** Takes its connection back. */
  takeBack(): void;
}

/** What an exchange needs of the origin it goes to. */
export interface Lane {
  readonly resource: string;
  readonly origin: string;
  readonly clock: Clock;
  readonly wheel: TimingWheel;
  readonly limits: Limits;
  readonly retry: RetrySettings | undefined;
  readonly authorization: Secret | undefined;
  /** How long requests took. */
  readonly requests: RequestDurations;
  /** Bodies that wait for their reader. */
  readonly paused: Set<WaitingBody>;
  /** Sockets that were upgraded. */
  readonly upgraded: Set<Duplex>;
  /** True once nothing must be retried. */
  readonly closed: boolean;
  connection(): Connection;
  /** An answer came. Gives what it says against the origin, though the caller is handed it; `undefined` where nothing. */
  answered(status: number): BadStatus | undefined;
  failed(error: unknown): void;
  leaked(body: WaitingBody): void;
}

/** Bounds of every exchange of a session, and what counts as a failure beyond them. */
export interface Limits {
  readonly timeoutMs: number;
  readonly headersTimeoutMs?: number | undefined;
  readonly idleTimeoutMs: number;
  readonly unreadBodyTimeoutMs: number;
  readonly maxResponseBytes?: number | undefined;
  readonly failureStatuses: readonly number[];
  /** Whether calls carry the id and the trace of their request. */
  readonly propagate: boolean;
}
