import type { WebSocket } from "ws";
import { Inbox, type Message } from "./inbox.ts";

/** The `for await` loops over the messages of a session. While one of them lags, the socket is paused. */
export class Readers {
  readonly #maxUnread: number;
  readonly #socket: () => WebSocket | undefined;
  readonly #inboxes = new Set<Inbox>();

  constructor(maxUnread: number, socket: () => WebSocket | undefined) {
    this.#maxUnread = maxUnread;
    this.#socket = socket;
  }

  get size(): number {
    return this.#inboxes.size;
  }

  /** One more loop; one that is over at once where no message will come. */
  open(isOver: boolean): Inbox {
    const inbox = new Inbox(
      this.#maxUnread,
      () => this.adjustRate(),
      (gone) => {
        this.#inboxes.delete(gone);
        this.adjustRate();
      },
    );
    if (isOver) inbox.end();
    else this.#inboxes.add(inbox);
    return inbox;
  }

  push(message: Message): void {
    for (const inbox of this.#inboxes) inbox.push(message);
  }

  /** Pauses the socket, or lets it go on. */
  adjustRate(): void {
    const ws = this.#socket();
    if (ws === undefined) return;
    const full = [...this.#inboxes].some((inbox) => inbox.isFull);
    if (full && !ws.isPaused) ws.pause();
    else if (!full && ws.isPaused) ws.resume();
  }

  /** What ends the loops that there are now. */
  ending(): () => void {
    const inboxes = [...this.#inboxes];
    return () => {
      for (const inbox of inboxes) if (this.#inboxes.delete(inbox)) inbox.end();
    };
  }
}
