import type { WebSocket } from "ws";

/** Those who wait for a connection. */
export class Waiters {
  #waiting: { resolve(socket: WebSocket): void; reject(error: unknown): void }[] = [];

  wait(): Promise<WebSocket> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  resolve(socket: WebSocket): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve(socket);
  }

  reject(error: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
