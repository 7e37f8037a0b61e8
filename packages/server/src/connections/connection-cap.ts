import type { Server } from "node:net";
import { descriptorLimit } from "./descriptor-limit.ts";

/** What is kept free of public connections, at least and at most, for everything else: management, drivers, files. */
const [LEAST_KEPT, MOST_KEPT] = [32, 1_000];

/** How many descriptors public connections may have, so that a quarter of all stays for the rest. */
function connectionRoom(limit: number): number {
  const kept = Math.min(MOST_KEPT, Math.max(LEAST_KEPT, Math.ceil(limit / 4)));
  return Math.max(1, limit - kept);
}

/** A listener that has its share of the room, and how it is set. */
interface Sharing {
  readonly server: Server;
  share(connections: number): void;
}

/**
 * Keeps the connections of public listeners below the limit of descriptors: clients that only connect and wait would
 * take all of them otherwise, and neither health nor drivers could open any. Listeners share the room in equal parts.
 */
export class ConnectionRoom {
  readonly #limit: () => number | undefined;
  readonly #sharing = new Set<Sharing>();

  constructor(limit: () => number | undefined = descriptorLimit) {
    this.#limit = limit;
  }

  /**
   * Caps a listener's connections while it listens; those above are closed as they come.
   *
   * @param max How many; `undefined` for a share of the room, `false` for no cap.
   * @param refused Called for each connection above the cap.
   */
  cap(server: Server, max: number | false | undefined, refused: (cap: number) => void): void {
    if (max === false || (max === undefined && isCapped(server))) return;
    server.on("drop", () => refused(server.maxConnections));
    if (max !== undefined) return void (server.maxConnections = max);
    const sharing: Sharing = { server, share: (connections) => (server.maxConnections = connections) };
    const join = (): void => this.#change(() => this.#sharing.add(sharing));
    if (server.listening) join();
    else server.on("listening", join);
    server.on("close", () => this.#change(() => this.#sharing.delete(sharing)));
  }

  #change(change: () => void): void {
    change();
    const limit = this.#limit();
    if (limit === undefined) return;
    const each = Math.max(1, Math.floor(connectionRoom(limit) / this.#sharing.size));
    for (const sharing of this.#sharing) sharing.share(each);
  }
}

/** Whether its owner has set a cap. */
function isCapped({ maxConnections }: Server): boolean {
  return typeof maxConnections === "number";
}

/** The room of this process. */
export const connectionRoomOfProcess: ConnectionRoom = new ConnectionRoom();
