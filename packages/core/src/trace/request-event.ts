/**
 * One request to a server over HTTP. The same object is published when the request has come and when its response is
 * closed, complete or not; `end` is there the second time. Handshakes of WebSockets are not published.
 */
export interface RequestEvent {
  readonly requestId: string;
  /** As it was sent. */
  readonly method: string;
  readonly scheme: "http" | "https";
  /** Path and query, with the values of parameters that carry secrets masked. */
  readonly url: string;
  /** Such as `1.1` or `2`. */
  readonly httpVersion: string;
  /** What the client calls the server: a name or address, with or without a port. */
  readonly host: string | undefined;
  readonly userAgent: string | undefined;
  /** Who is at the other end of the connection: the client, or a proxy before it. */
  readonly peer: { readonly address: string; readonly port: number } | undefined;
  /** W3C `traceparent` of the caller, as it was sent. */
  readonly traceContext: string | undefined;
  /** W3C `tracestate` of the caller, as it was sent. */
  readonly traceState: string | undefined;
  /** What stands for the request in a trace; a subscriber sets it when the request has come. The last one counts. */
  span?: RequestSpan | undefined;
  /** How it ended; `undefined` while it has not. */
  readonly end: RequestEnd | undefined;
}

/** What stands for a request or a call in a trace. */
export interface RequestSpan {
  /** W3C `traceparent` of the span: what it calls belongs to it. */
  readonly traceContext: string;
  /** Runs its work where the span is the active one, and gives the result. */
  run<T>(work: () => T): T;
}

/** How a request ended. */
export interface RequestEnd {
  /** Template of the route, such as `/videos/:id`; `undefined` where no route has the path. */
  readonly route: string | undefined;
  /** Status of the answer; `undefined` where none was sent. */
  readonly status: number | undefined;
  /** A status from 500 on, or the code of what broke the response off: `CALL_ABORTED` where the client has gone. */
  readonly errorType: string | undefined;
}
