import type { Duplex } from "node:stream";
import { util, type Dispatcher } from "undici";

/** A handler in the form that undici's connections call without any conversion. */
export interface RawHandler {
  onConnect(abort: (error?: Error) => void, context?: unknown): void;
  onResponseStarted?(): void;
  onHeaders(status: number, headers: Buffer[], resume: () => void, statusText: string): boolean;
  onUpgrade?(status: number, headers: Buffer[] | string[] | null, socket: Duplex): void;
  onData(chunk: Buffer): boolean;
  onComplete(trailers: Buffer[] | string[] | null): void;
  onError(error: Error): void;
  onBodySent?(chunkSize: number, totalBytesSent: number): void;
  onRequestSent?(): void;
}

type Abort = (error?: Error) => void;
type Headers = Record<string, string | string[]>;

/** Any handler of undici, old or new style, in the raw form. */
export function asRaw(handler: Dispatcher.DispatchHandler): RawHandler {
  // A handler without `onRequestStart` is of the raw style: undici itself distinguishes them so.
  return handler.onRequestStart === undefined ? (handler as RawHandler) : new ModernAsRaw(handler);
}

/** What a new-style handler steers a request with. */
class Controller implements Dispatcher.DispatchController {
  readonly #abort: Abort;
  resumeRaw: (() => void) | undefined = undefined;
  rawHeaders: Buffer[] | string[] | null = null;
  rawTrailers: Buffer[] | string[] | null = null;
  paused = false;
  reason: Error | null = null;
  aborted = false;

  constructor(abort: Abort) {
    this.#abort = abort;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.resumeRaw?.();
  }

  abort(reason: Error): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.#abort(reason);
  }
}

const refused = (): never => {
  throw new TypeError("the request was never sent: there is nothing to abort");
};

/** Shows a new-style handler to a connection that speaks raw. */
class ModernAsRaw implements RawHandler {
  readonly #handler: Dispatcher.DispatchHandler;
  #controller = new Controller(refused);

  constructor(handler: Dispatcher.DispatchHandler) {
    this.#handler = handler;
  }

  onConnect(abort: Abort, context?: unknown): void {
    this.#controller = new Controller(abort);
    this.#handler.onRequestStart?.(this.#controller, context);
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void, statusText: string): boolean {
    const controller = this.#controller;
    controller.resumeRaw = resume;
    controller.rawHeaders = headers;
    this.#handler.onResponseStart?.(controller, status, util.parseHeaders(headers), statusText);
    return !controller.paused;
  }

  onUpgrade(status: number, headers: Buffer[] | string[] | null, socket: Duplex): void {
    this.#controller.rawHeaders = headers;
    this.#handler.onRequestUpgrade?.(this.#controller, status, util.parseHeaders(headers ?? []), socket);
  }

  onData(chunk: Buffer): boolean {
    this.#handler.onResponseData?.(this.#controller, chunk);
    return !this.#controller.paused;
  }

  onComplete(trailers: Buffer[] | string[] | null): void {
    this.#controller.rawTrailers = trailers;
    this.#handler.onResponseEnd?.(this.#controller, util.parseHeaders(trailers ?? []));
  }

  onError(error: Error): void {
    this.#handler.onResponseError?.(this.#controller, error);
  }
}

/** Shows a raw handler to a dispatcher that speaks only the new style, such as one of a later undici. */
export class RawAsModern implements Dispatcher.DispatchHandler {
  readonly #handler: RawHandler;

  constructor(handler: RawHandler) {
    this.#handler = handler;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#handler.onConnect((error) => controller.abort(error ?? new Error("aborted")), context);
  }

  onRequestUpgrade(_controller: Dispatcher.DispatchController, status: number, headers: Headers, socket: Duplex): void {
    this.#handler.onUpgrade?.(status, rawHeaders(headers), socket);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Headers,
    statusText?: string,
  ): void {
    const more = this.#handler.onHeaders(status, rawHeaders(headers), () => controller.resume(), statusText ?? "");
    if (!more) controller.pause();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#handler.onData(chunk)) controller.pause();
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: Headers): void {
    this.#handler.onComplete(rawHeaders(trailers));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#handler.onError(error);
  }
}

function rawHeaders(headers: Headers): Buffer[] {
  const raw: Buffer[] = [];
  for (const [name, values] of Object.entries(headers))
    for (const value of Array.isArray(values) ? values : [values])
      raw.push(Buffer.from(name, "latin1"), Buffer.from(value, "latin1"));
  return raw;
}
