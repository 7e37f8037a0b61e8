import type { RequestSpan } from "./request-event.ts";

/** What a call is in a trace, by OpenTelemetry's conventions. */
export interface CallAbout {
  /** `client` asks another process, `server` answers one, `producer` sends a message, `consumer` handles one. Default `client`. */
  readonly kind?: "client" | "server" | "producer" | "consumer" | "internal" | undefined;
  /** Attributes by their names there, such as `db.system.name`. */
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
}

/** How a call ended. */
export interface CallEnd {
  /** Why it failed; `undefined` when it succeeded. */
  readonly error: unknown;
}

/** A guarded call begins: it is let in, queued or refused next. */
export interface CallBegin {
  readonly resource: string;
  /** As in {@link CallEvent}. */
  readonly operation: string | undefined;
  /** `undefined` where the resource says nothing of it. */
  readonly about: CallAbout | undefined;
  /** W3C `traceparent` of the work that makes it. */
  readonly traceContext: string | undefined;
  /** What stands for the call in a trace; a subscriber sets it. The last one counts. */
  span?: RequestSpan | undefined;
}

/** A guarded call ended. */
export interface CallEvent {
  readonly resource: string;
  /**
   * What was called, without its arguments: `SELECT`, `HGETALL`, `/clips.v1.Renderer/Render`. `undefined` where the call
   * has no name, and for calls over HTTP, which undici announces itself with method, URL and status.
   */
  readonly operation: string | undefined;
  /** From the request for it to its end, time in the queue included. */
  readonly durationMs: number;
  /** Time in the queue. */
  readonly queuedMs: number;
  /** W3C `traceparent` of the work that made it; it ends in callbacks of others, where the context is theirs. */
  readonly traceContext: string | undefined;
  /** What it was, with what its end has shown. */
  readonly about: CallAbout | undefined;
  /** What a subscriber of {@link CallBegin} set. */
  readonly span: RequestSpan | undefined;
  /** Why it failed; `undefined` when it succeeded. */
  readonly error: unknown;
}
