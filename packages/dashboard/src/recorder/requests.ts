import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { CHANNELS, type Clock, type RequestEvent } from "@steward/core";

/** A request that is being answered. */
export interface OpenRequest {
  readonly id: string;
  readonly method: string;
  /** The path; queries are not shown. */
  readonly path: string;
  /** When it came, in ms since 1970. */
  readonly at: number;
}

/** Most open requests that are shown, the oldest first. */
const MOST_SHOWN = 20;
/** Most that are known at a time. */
const MOST_KNOWN = 10_000;

/** Requests that came since `open` and are not answered yet. */
export class Requests {
  readonly #clock: Clock;
  readonly #open = new Map<RequestEvent, number>();
  readonly #listener = (event: unknown): void => this.#on(event as RequestEvent); // what core publishes there

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#open.size;
  }

  open(): void {
    subscribe(CHANNELS.request, this.#listener);
  }

  close(): void {
    unsubscribe(CHANNELS.request, this.#listener);
    this.#open.clear();
  }

  /** The oldest ones. */
  oldest(): OpenRequest[] {
    const found: OpenRequest[] = [];
    for (const [{ requestId, method, url }, at] of this.#open) {
      if (found.length === MOST_SHOWN) break;
      found.push({ id: requestId, method, path: url.replace(/\?.*$/s, ""), at });
    }
    return found;
  }

  #on(event: RequestEvent): void {
    if (event.end !== undefined) this.#open.delete(event);
    else if (this.#open.size < MOST_KNOWN) this.#open.set(event, this.#clock.wallNow());
  }
}
