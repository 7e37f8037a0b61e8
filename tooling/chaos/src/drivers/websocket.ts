import { WebSocketSessionManager } from "@steward/websocket";
import { WebSocket } from "ws";
import { ignore, STOP_MS, TIMEOUT_MS, type ArmName, type ArmSettings, type Client } from "./driver.ts";

type Call = (asked: string) => Promise<unknown>;

function calls(call: Call): Pick<Client, "read" | "write" | "slow" | "held"> {
  return {
    read: () => call("r"),
    write: (id) => call(`w ${id}`),
    slow: (ms) => call(`s ${ms}`),
    held: (got) => call("r").then(got),
  };
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * What people write around `ws`: ids, a map of those that wait, and a new socket a second after one was lost. Tuned: also
 * deadlines, the recipe of its README for dead peers, and a pause of 100 ms.
 */
class ByHand {
  readonly #url: string;
  readonly #isTuned: boolean;
  readonly #waiting = new Map<number, Waiting>();
  #socket: WebSocket;
  #lastId = 0;
  #isOver = false;

  constructor(url: string, isTuned: boolean) {
    this.#url = url;
    this.#isTuned = isTuned;
    this.#socket = this.#connect();
  }

  #connect(): WebSocket {
    const socket = new WebSocket(this.#url, {
      perMessageDeflate: false,
      ...(this.#isTuned ? { handshakeTimeout: 1_500 } : {}),
    });
    let alive = true;
    const pings = setInterval(() => {
      if (socket.readyState !== WebSocket.OPEN || !this.#isTuned) return;
      if (!alive) return socket.terminate();
      alive = false;
      socket.ping();
    }, 1_000);
    socket.on("pong", () => (alive = true));
    socket.on("error", ignore);
    socket.on("message", (data) => {
      const { id, ok } = JSON.parse(String(data)) as { readonly id: number; readonly ok: unknown }; // the server sends it
      this.#waiting.get(id)?.resolve(ok);
      this.#waiting.delete(id);
    });
    socket.on("close", () => {
      clearInterval(pings);
      for (const { reject } of this.#waiting.values()) reject(new Error("closed"));
      this.#waiting.clear();
      setTimeout(
        () => {
          if (!this.#isOver) this.#socket = this.#connect();
        },
        this.#isTuned ? 100 : 1_000,
      );
    });
    return socket;
  }

  call = (asked: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (this.#socket.readyState !== WebSocket.OPEN) return reject(new Error("not connected"));
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ id, call: asked }));
      if (!this.#isTuned) return undefined;
      const timer = setTimeout(() => {
        if (this.#waiting.delete(id)) reject(new Error("too late"));
      }, TIMEOUT_MS);
      return timer.unref();
    });

  async opened(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CONNECTING)
      await new Promise((resolve) => this.#socket.once("open", resolve));
  }

  end(): void {
    this.#isOver = true;
    this.#socket.terminate();
  }

  close(): Promise<void> {
    this.#isOver = true;
    const closed = new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
    this.#socket.close();
    return closed;
  }
}

async function raw(url: string, isTuned: boolean): Promise<Client> {
  const client = new ByHand(url, isTuned);
  await client.opened();
  const end = async (): Promise<void> => client.end();
  return { ...calls(client.call), end, close: isTuned ? end : () => client.close(), stats: () => ({}) };
}

async function ours(url: string, { maxPending }: ArmSettings): Promise<Client> {
  const bounds = maxPending === undefined ? {} : { maxConcurrent: maxPending };
  const manager = new WebSocketSessionManager(
    { url, timeoutMs: TIMEOUT_MS, offline: "wait", ...bounds },
    { stopTimeoutMs: STOP_MS },
  );
  await manager.start();
  await manager.client.ready();
  return {
    ...calls((asked) => manager.client.call(asked)),
    end: () => manager.stop({ signal: AbortSignal.timeout(100) }),
    close: () => manager.stop(),
    stats: () => ({ ...(manager.stats()["calls"] as object) }), // of the guard of its calls
  };
}

/** A client of WebSockets. */
export function webSocketClient(arm: ArmName, url: string, settings: ArmSettings): Promise<Client> {
  return arm === "ours" ? ours(url, settings) : raw(url, arm === "raw, tuned");
}
