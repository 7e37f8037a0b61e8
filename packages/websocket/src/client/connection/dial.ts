import { AsyncLocalStorage } from "node:async_hooks";
import type { Socket } from "node:net";
import { currentContext, StewardError, type Clock, type Timer } from "@steward/core";
import { describeError, maskUrl } from "@steward/core/driver";
import { WebSocket, type ClientOptions } from "ws";
import type { WebSocketCode } from "../../errors.ts";
import { overheard } from "./plaintext.ts";

/** Where a connection leads, and how it is made. */
export interface Target {
  readonly url: string;
  readonly protocols: readonly string[];
  readonly headers: HeadersSource | undefined;
  readonly options: ClientOptions;
  /** Whether the handshake carries the id and the trace of the work that connects. */
  readonly propagate: boolean;
  /** Whether credentials may go to another machine in plain text. */
  readonly plaintext: boolean;
  readonly timeoutMs: number;
}

type Headers = Readonly<Record<string, string>>;

/** Headers, or a function that is asked before every connect, such as for a token. */
export type HeadersSource = Headers | (() => Headers | Promise<Headers>);

/** To come back with the same credentials is of no use. */
const NOT_LET_IN = /^Unexpected server response: 40[13]$/;

/** What may become a connection. */
export interface Attempt {
  /** Gives it up, and reports no outcome. */
  cancel(): void;
}

/** What becomes of an attempt. Called once, one of the two; `opened` in the same turn in which the connection opens, so that no message is missed. */
export interface DialOutcome {
  opened(ws: WebSocket, wire: Socket): void;
  failed(error: StewardError): void;
}

/** A connection outlives the work that connects first: what comes over it, and the next connect, belong to no request. */
const outside: (work: () => void) => void = AsyncLocalStorage.snapshot();

/** One attempt to connect, with a deadline for all of it: name, TCP, TLS, handshake, and the headers that are asked for. */
export class Dial implements Attempt {
  readonly #resource: string;
  readonly #target: Target;
  readonly #outcome: DialOutcome;
  readonly #timer: Timer;
  #ws: WebSocket | undefined;
  #wire: Socket | undefined;
  #isOver = false;

  constructor(resource: string, clock: Clock, target: Target, outcome: DialOutcome) {
    this.#resource = resource;
    this.#target = target;
    this.#outcome = outcome;
    this.#timer = clock.setTimeout(() => this.#fail(`no handshake within ${target.timeoutMs} ms`), target.timeoutMs);
    void this.#begin();
  }

  async #begin(): Promise<void> {
    const { url, protocols, headers, options, propagate } = this.#target;
    const carried = propagate ? carriedHeaders() : undefined;
    try {
      const asked = typeof headers === "function" ? await askedOf(headers) : await headers;
      if (this.#isOver || this.#isOverheard(asked)) return;
      const bare = asked === undefined && carried === undefined;
      const given = bare ? options : { ...options, headers: { ...carried, ...asked } };
      outside(() => this.#listen(new WebSocket(url, [...protocols], given)));
    } catch (error) {
      this.#fail(describeError(error), error);
    }
  }

  #isOverheard(headers: Headers | undefined): boolean {
    const { url, plaintext } = this.#target;
    const what = plaintext ? undefined : overheard(url, headers);
    if (what === undefined) return false;
    const why = `${what} would go to another machine in plain text; use wss:, or allow it with plaintext: true`;
    this.#refuse("WEBSOCKET_PLAINTEXT_REFUSED", why, { retryable: false });
    return true;
  }

  #listen(ws: WebSocket): void {
    this.#ws = ws;
    ws.on("error", (error) => this.#fail(describeError(error), error));
    ws.once("upgrade", (response) => (this.#wire = response.socket));
    ws.once("open", () => this.#opened(ws));
  }

  #opened(ws: WebSocket): void {
    if (this.#isOver || this.#wire === undefined) return;
    this.#isOver = true;
    this.#timer.cancel();
    this.#outcome.opened(ws, this.#wire);
  }

  #fail(why: string, cause?: unknown): void {
    this.#refuse("WEBSOCKET_CONNECT_FAILED", why, { cause, retryable: !NOT_LET_IN.test(why) });
  }

  #refuse(code: WebSocketCode, why: string, more: { readonly cause?: unknown; readonly retryable: boolean }): void {
    if (this.#isOver) return;
    this.cancel();
    const message = `${this.#resource}: no connection to ${maskUrl(this.#target.url)}: ${why}`;
    outside(() => this.#outcome.failed(new StewardError(code, message, { resource: this.#resource, ...more })));
  }

  /** What has become a connection is not its to end any more. */
  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer.cancel();
    this.#ws?.terminate();
  }
}

/** One that throws rejects, so that no attempt is over before its caller knows of it. */
async function askedOf(headers: () => Headers | Promise<Headers>): Promise<Headers> {
  return headers();
}

/** The id and the trace of the work that connects, where there is any. */
function carriedHeaders(): Headers | undefined {
  const { requestId, traceContext } = currentContext() ?? {};
  if (requestId === undefined && traceContext === undefined) return undefined;
  return {
    ...(requestId === undefined ? {} : { "x-request-id": requestId }),
    ...(traceContext === undefined ? {} : { traceparent: traceContext }),
  };
}
