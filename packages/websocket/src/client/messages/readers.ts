import { Inbox, type Message } from "./inbox.ts";

/** A connection that messages come from. */
interface Source {
  setReading(reads: boolean): void;
}

/** The `for await` loops over the messages of a session. While one of them lags, the sockets are paused. */
export class Readers {
  readonly #maxUnread: number;
  readonly #sources: () => Iterable<Source>;
  readonly #inboxes = new Set<Inbox>();

  constructor(maxUnread: number, sources: () => Iterable<Source>) {
    this.#maxUnread = maxUnread;
    this.#sources = sources;
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

  /** Pauses the sockets, or lets them go on. */
  adjustRate(): void {
    const reads = ![...this.#inboxes].some((inbox) => inbox.isFull);
    for (const source of this.#sources()) source.setReading(reads);
  }

  /** What ends the loops that there are now. */
  ending(): () => void {
    const inboxes = [...this.#inboxes];
    return () => {
      for (const inbox of inboxes) if (this.#inboxes.delete(inbox)) inbox.end();
    };
  }
}
