import type { EventEmitter } from "node:events";
import { STATUS_CODES, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { answerOtherUpgrades } from "@steward/core/driver";

/** Any HTTP server of Node's; Fastify's is `app.server`. */
export type UpgradeServer = Pick<EventEmitter, "on" | "off" | "listenerCount">;

/** Takes the upgrades of one path. */
export interface Gate {
  readonly path: string | undefined;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** Refuses an upgrade with a plain HTTP answer. */
export function refuse(socket: Duplex, status: number, headers: Readonly<Record<string, string>> = {}): void {
  if (socket.destroyed) return;
  const reason = STATUS_CODES[status] ?? "";
  const lines = Object.entries({
    connection: "close",
    "content-type": "text/plain",
    "content-length": String(reason.length),
    ...headers,
  });
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${reason}`,
  );
  // Who does not read the answer and keeps the connection would cost us a socket.
  socket.once("finish", () => socket.destroy());
}

/** The path of a request, without its query. */
export function pathOf(request: IncomingMessage): string {
  return (request.url ?? "/").replace(/[?#].*$/s, "");
}

/** Hubs share a server: one listener gives each upgrade to the hub of its path. */
class ServerUpgrades {
  readonly #server: UpgradeServer;
  /** One entry for each time that a gate was attached. */
  readonly #attached = new Set<{ readonly gate: Gate }>();

  constructor(server: UpgradeServer) {
    this.#server = server;
  }

  add(gate: Gate): () => void {
    if (this.#attached.size === 0) this.#server.on("upgrade", this.#onUpgrade);
    answerOtherUpgrades(this.#server);
    const entry = { gate };
    this.#attached.add(entry);
    return () => {
      if (this.#attached.delete(entry) && this.#attached.size === 0) this.#server.off("upgrade", this.#onUpgrade);
    };
  }

  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const path = pathOf(request);
    const gates = [...this.#attached].map(({ gate }) => gate);
    const gate = gates.find((one) => one.path === path) ?? gates.find((one) => one.path === undefined);
    if (gate !== undefined) gate.upgrade(request, socket, head);
    // With another listener it may be theirs; without one it would never be answered.
    else if (this.#server.listenerCount("upgrade") === 1)
      refuse(
        socket.on("error", () => {}),
        404,
      );
  };
}

const upgradesOf = new WeakMap<UpgradeServer, ServerUpgrades>();

/** Lets a gate take the upgrades of its path, until the returned function is called. */
export function attach(server: UpgradeServer, gate: Gate): () => void {
  let upgrades = upgradesOf.get(server);
  if (upgrades === undefined) upgradesOf.set(server, (upgrades = new ServerUpgrades(server)));
  return upgrades.add(gate);
}
