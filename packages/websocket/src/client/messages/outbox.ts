import { StewardError } from "@steward/core";
import type { Link } from "../connection/link.ts";
import { Row, type Outgoing, type Outlet } from "./outgoing.ts";

/** Bytes that the socket may hold; the rest waits here, where it can still be given up. */
const WINDOW_BYTES = 65_536;

const NOW = Promise.resolve();

/** Bounds of an outbox. */
export interface OutboxLimits {
  readonly resource: string;
  readonly maxPending: number;
  readonly maxPendingBytes: number;
}

/**
 * Messages that the system has not taken yet, bounded in count and bytes.
 *
 * What is sent at once is written together, so a burst costs one system call instead of one per message.
 */
export class Outbox implements Outlet {
  readonly #limits: OutboxLimits;
  readonly #refusal: () => StewardError | undefined;
  readonly #waiting = new Row();
  readonly #urgent = new Row();
  #count = 0;
  #bytes = 0;
  #link: Link | undefined;
  #isOpen = false;
  #scheduled = false;

  /** `refusal` says why nothing can be sent, or `undefined` when it may be queued. */
  constructor(limits: OutboxLimits, refusal: () => StewardError | undefined) {
    this.#limits = limits;
    this.#refusal = refusal;
  }

  /** Messages that the system has not taken. */
  get length(): number {
    return this.#count;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** From here on messages go to that connection; at first only urgent ones. */
  attach(link: Link): void {
    this.#link = link;
    this.#isOpen = false;
    this.#schedule();
  }

  /** What waited may go. */
  open(): void {
    this.#isOpen = true;
    this.#schedule();
  }

  /** A connection ended: what was written to it and not taken has an unknown outcome. */
  lose(link: Link, error: StewardError): void {
    this.#failAll(link.writing, error);
  }

  /** There is no connection: gives up what is urgent, and all that waits where `all` says so. */
  detach(error: StewardError, all: boolean): void {
    this.#link = undefined;
    this.#isOpen = false;
    this.#failAll(this.#urgent, error);
    if (all) this.#failAll(this.#waiting, error);
  }

  #failAll(row: Row, error: StewardError): void {
    for (let item = row.first; item !== undefined; item = row.first) {
      this.#leave(row, item);
      item.fail(error);
    }
  }

  add(item: Outgoing): void {
    const { maxPending, maxPendingBytes } = this.#limits;
    const why = item.urgent ? undefined : this.#refusal();
    if (why !== undefined) return item.fail(why);
    if (this.#count >= maxPending || this.#bytes + item.bytes > maxPendingBytes)
      return item.fail(this.#overloaded(item));
    this.#count++;
    this.#bytes += item.bytes;
    (item.urgent ? this.#urgent : this.#waiting).push(item);
    this.#schedule();
  }

  #overloaded(item: Outgoing): StewardError {
    const { resource, maxPending, maxPendingBytes } = this.#limits;
    const message = `${resource}: the outbound queue is full (${this.#count} of ${maxPending} messages, ${this.#bytes} of ${maxPendingBytes} bytes, ${item.bytes} more asked for); await send(), or raise its bounds`;
    return new StewardError("OVERLOADED", message, { resource, retryable: item.bytes <= maxPendingBytes });
  }

  /** A message was given up. Where it waits, it is never sent; where it was written, its bytes count until they are gone. */
  forget(item: Outgoing): void {
    if (item.row !== undefined && item.link === undefined) this.#leave(item.row, item);
  }

  #leave(row: Row, item: Outgoing): void {
    row.remove(item);
    this.#count--;
    this.#bytes -= item.bytes;
  }

  #schedule(): void {
    if (this.#scheduled || this.#link === undefined) return;
    this.#scheduled = true;
    // A microtask costs a fraction of a tick of Node's, and comes after all other code that the same replies wake.
    void NOW.then(this.#flush);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    const link = this.#link;
    if (link?.isOpen !== true) return;
    // One goes in any case: when it has been taken there is room for the next.
    const least = link.writing.first === undefined ? 1 : 0;
    const room = Math.max(least, WINDOW_BYTES - link.ws.bufferedAmount);
    const item = room > 0 ? this.#take() : undefined;
    if (item === undefined) return;
    if (this.#head === undefined) return link.write(item, true);
    link.cork();
    try {
      this.#writeBatch(link, item, room);
    } finally {
      link.uncork();
    }
  };

  /** Writes as much as there is room for; its last message says when all of it has been taken. */
  #writeBatch(link: Link, first: Outgoing, roomBytes: number): void {
    let room = roomBytes;
    for (let item: Outgoing | undefined = first; item !== undefined;) {
      room -= item.bytes;
      const next: Outgoing | undefined = room > 0 ? this.#take() : undefined;
      link.write(item, next === undefined);
      item = next;
    }
  }

  /** What goes next. */
  get #head(): Outgoing | undefined {
    return this.#urgent.first ?? (this.#isOpen ? this.#waiting.first : undefined);
  }

  #take(): Outgoing | undefined {
    const item = this.#head;
    if (item !== undefined) item.row?.remove(item);
    return item;
  }

  /** The system has taken a batch that was written to that connection: the oldest one. */
  taken(link: Link): void {
    for (let item = link.writing.first; item !== undefined; item = link.writing.first) {
      this.#leave(link.writing, item);
      item.taken();
      if (item.endsBatch) break;
    }
    if (this.#head !== undefined) this.#schedule();
  }
}
