import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { CHANNELS, type CallEvent, type Clock } from "@steward/core";
import { describeError } from "@steward/core/driver";
import type { EventLine } from "./events.ts";

/** A request, as undici publishes it, in Node and from npm. */
interface Request {
  readonly method: string;
  readonly origin: string | URL;
  readonly path: string;
}

interface Published {
  readonly request: Request;
  readonly response?: { readonly statusCode: number };
  readonly error?: unknown;
}

/** Beyond so many calls under way, further ones have no line: some callers never read an answer to its end. */
const MOST_OPEN = 10_000;

/**
 * Writes a line for each call to another service: those over HTTP as undici announces them, with method, URL without
 * query and status, and those of guarded resources that name what they call.
 */
export class CallLines {
  readonly #clock: Clock;
  readonly #share: number;
  readonly #write: (line: EventLine) => void;
  readonly #open = new Map<Request, number>();
  readonly #listeners: Readonly<Record<string, (message: unknown) => void>> = {
    [CHANNELS.call]: (event) => this.#ended(event as CallEvent), // what guards publish there
    "undici:request:create": (message) => this.#begin(message as Published), // what undici publishes there
    "undici:request:headers": (message) => this.#end(message as Published),
    "undici:request:error": (message) => this.#end(message as Published),
  };

  constructor(clock: Clock, share: number, write: (line: EventLine) => void) {
    this.#clock = clock;
    this.#share = share;
    this.#write = write;
  }

  open(): void {
    this.close();
    for (const [name, listener] of Object.entries(this.#listeners)) subscribe(name, listener);
  }

  close(): void {
    for (const [name, listener] of Object.entries(this.#listeners)) unsubscribe(name, listener);
    this.#open.clear();
  }

  #ended({ resource, operation, durationMs, queuedMs, error }: CallEvent): void {
    if (operation === undefined) return;
    const isGood = error === undefined;
    if (isGood && Math.random() >= this.#share) return;
    this.#write({
      level: isGood ? "info" : "warn",
      fields: {
        event: "call",
        resource,
        operation,
        durationMs: tenths(durationMs),
        queuedMs: tenths(queuedMs),
        ...(isGood ? {} : { err: error }),
      },
      text: `${resource} ${operation}: ${isGood ? "done" : describeError(error)}`,
    });
  }

  #begin({ request }: Published): void {
    if (this.#open.size < MOST_OPEN) this.#open.set(request, this.#clock.now());
  }

  #end({ request, response, error }: Published): void {
    const since = this.#open.get(request);
    if (since === undefined) return;
    this.#open.delete(request);
    const status = response?.statusCode;
    const isGood = status !== undefined && status < 400;
    if (isGood && Math.random() >= this.#share) return;
    const { method } = request;
    const url = shown(request);
    const durationMs = tenths(this.#clock.now() - since);
    const outcome = status ?? describeError(error);
    this.#write({
      level: isGood ? "info" : "warn",
      fields: { event: "call", method, url, status, durationMs, ...(error === undefined ? {} : { err: error }) },
      text: `${method} ${url}: ${outcome}`,
    });
  }
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** Without its query and its user, which may be secret. */
function shown({ origin, path }: Request): string {
  const at = String(origin).replace(/\/$/, "");
  return `${at}${path.split("?", 1)[0] ?? ""}`.replace(/:\/\/[^/]*@/, "://");
}
