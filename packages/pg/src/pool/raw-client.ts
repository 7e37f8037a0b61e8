import type { Socket } from "node:net";

/** What of a client of pg its types do not show: it is public by its name, and stable since pg 7. */
export interface RawClient {
  readonly connection: {
    readonly stream: Socket;
    on(event: "errorMessage", listener: (error: Error) => void): unknown;
  };
  /** The backend at the server that works for it. */
  readonly processID: number | null;
  /** False while a statement is under way. */
  readonly readyForQuery: boolean;
  /** What runs: a statement, or a cursor with its state. Before 8.17 by the other name, which warns since. */
  readonly _activeQuery?: { readonly state?: unknown } | null;
  readonly activeQuery?: { readonly state?: unknown } | null;
}

/** A client as its parts. */
export function rawClient(client: object): RawClient {
  return client as RawClient;
}

/** True while the rows of a cursor are with their reader: the server waits for us, not we for it. */
export function isPaused(client: object): boolean {
  const raw = rawClient(client);
  return ("_activeQuery" in raw ? raw._activeQuery : raw.activeQuery)?.state === "idle";
}

/** Cuts a connection off. What runs on it fails with that error, and the server rolls back. */
export function cutOff(client: object, error: Error): void {
  rawClient(client).connection.stream.destroy(error);
}
