import { Dispatcher } from "undici";
import { RawAsModern, type RawHandler } from "../exchange/handlers.ts";
import type { Connection, Connections, ConnectionStats } from "./connection.ts";

/** A dispatcher of the user's as the way to every origin. What it does with its sockets is its own affair. */
export class BorrowedConnections implements Connections, Connection {
  readonly #dispatcher: Dispatcher;
  readonly #speaksRaw: boolean;

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher;
    // One of another copy of undici may have dropped the raw style; the new style is understood by all.
    this.#speaksRaw = dispatcher instanceof Dispatcher;
  }

  take(): Connection {
    return this;
  }

  send(options: Dispatcher.DispatchOptions, handler: RawHandler): void {
    const shown = this.#speaksRaw ? (handler as Dispatcher.DispatchHandler) : new RawAsModern(handler); // as in the pool
    this.#dispatcher.dispatch(options, shown);
  }

  decline(abort: (error?: Error) => void): void {
    abort(new Error("given up before it was sent"));
  }

  tick(): number {
    return 1;
  }

  release(): void {}
  broke(): void {}
  detached(): void {}
  answered(): void {}
  suspect(): void {}
  retire(): void {}

  destroy(): Promise<void> {
    return Promise.resolve();
  }

  stats(): ConnectionStats {
    return { size: 0, idle: 0, retired: 0 };
  }
}
