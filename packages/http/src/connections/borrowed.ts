import { Dispatcher } from "undici";
import { RawAsModern } from "../exchange/handlers.ts";
import type { Connection, Connections, ConnectionStats, Sender } from "./connection.ts";

/** A dispatcher of the user's as the way to every origin. What it does with its sockets is its own affair. */
export class BorrowedConnections implements Connections {
  readonly #dispatcher: Dispatcher;
  readonly #speaksRaw: boolean;
  readonly #inUse = new Set<BorrowedConnection>();

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher;
    // One of another copy of undici may have dropped the raw style; the new style is understood by all.
    this.#speaksRaw = dispatcher instanceof Dispatcher;
  }

  take(): Connection {
    const connection = new BorrowedConnection(this.#dispatcher, this.#speaksRaw, this.#inUse);
    this.#inUse.add(connection);
    return connection;
  }

  retire(): void {}

  /** It is not closed, so it ends nothing by itself. */
  destroy(reason: Error): Promise<void> {
    for (const connection of this.#inUse) connection.end(reason);
    return Promise.resolve();
  }

  stats(): ConnectionStats {
    return { size: 0, idle: 0, retired: 0 };
  }
}

/** One request on its way over it. */
class BorrowedConnection implements Connection {
  readonly #dispatcher: Dispatcher;
  readonly #speaksRaw: boolean;
  readonly #inUse: Set<BorrowedConnection>;
  #sender: Sender | undefined = undefined;

  constructor(dispatcher: Dispatcher, speaksRaw: boolean, inUse: Set<BorrowedConnection>) {
    this.#dispatcher = dispatcher;
    this.#speaksRaw = speaksRaw;
    this.#inUse = inUse;
  }

  send(options: Dispatcher.DispatchOptions, sender: Sender): void {
    this.#sender = sender;
    const shown = this.#speaksRaw ? (sender as Dispatcher.DispatchHandler) : new RawAsModern(sender); // as in the pool
    this.#dispatcher.dispatch(options, shown);
  }

  decline(abort: (error?: Error) => void): void {
    abort(new Error("given up before it was sent"));
  }

  tick(): number {
    return 1;
  }

  release(): void {
    this.#inUse.delete(this);
  }

  broke(): void {
    this.release();
  }

  detached(): void {
    this.release();
  }

  answered(): void {}
  suspect(): void {}

  end(reason: Error): void {
    this.release();
    this.#sender?.fail(reason);
  }
}
