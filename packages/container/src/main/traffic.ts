import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { CHANNELS } from "@steward/core";

/** What Node publishes for every HTTP request that a server of this process gets, whatever the framework. */
interface RequestStart {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly server: Server;
}

const REQUEST_START = "http.server.request.start";
/** Servers whose requests are not what the process is there for. */
const uncounted = new WeakSet<object>();

/** Requests to this server do not count as traffic: it is for operators, and no balancer stands before it. */
export function excludeFromTraffic(server: Server): void {
  uncounted.add(server);
}

/**
 * Knows whether the process has served requests, and sends connections elsewhere while it shuts down. Servers of HTTP/1
 * need to do nothing for it, because Node announces their requests; others announce theirs on `CHANNELS.serving`.
 */
export class Traffic {
  #hasServed = false;

  constructor() {
    subscribe(REQUEST_START, this.#onRequest);
    subscribe(CHANNELS.serving, this.#onServing);
  }

  /** Whether any server of the process got a request so far. */
  get hasServed(): boolean {
    return this.#hasServed;
  }

  /** From here on every reply says `connection: close`, so that clients take their next request elsewhere. */
  sendAway(): void {
    this.#ignore();
    subscribe(REQUEST_START, closesConnection);
  }

  end(): void {
    this.#ignore();
    unsubscribe(REQUEST_START, closesConnection);
  }

  readonly #onRequest = (message: unknown): void => {
    if (!uncounted.has((message as RequestStart).server)) this.#onServing(); // Node's documentation says what it holds
  };

  /** One request is enough to know, so the next ones cost nothing. */
  readonly #onServing = (): void => {
    this.#hasServed = true;
    this.#ignore();
  };

  #ignore(): void {
    unsubscribe(REQUEST_START, this.#onRequest);
    unsubscribe(CHANNELS.serving, this.#onServing);
  }
}

function closesConnection(message: unknown): void {
  (message as RequestStart).response.setHeader("connection", "close"); // as above
}
