import { GuardedUse, StewardError } from "@steward/core";
import type { Payload } from "../wire/protocol.ts";
import type { Link } from "./link.ts";

/** Bytes that the socket may hold; the rest waits here, where it can still be given up. */
const WINDOW_BYTES = 65_536;

/** A message on its way out. */
export abstract class Outgoing extends GuardedUse {
  /** The connection it was written to. */
  link: Link | undefined = undefined;
  /** Its size; set when it is queued. */
  bytes = 0;
  /** True while it waits in the outbox. */
  waits = false;
  /** True for what a resume hook sends: it goes before everything else. */
  readonly urgent: boolean;
  protected readonly outbox: Outbox;

  constructor(outbox: Outbox, urgent: boolean) {
    super();
    this.outbox = outbox;
    this.urgent = urgent;
  }

  /** Its frame for that connection. */
  abstract payload(link: Link): Payload;

  /** The system has taken it. */
  abstract written(): void;

  protected override giveUp(error: unknown): void {
    this.outbox.forget(this);
    this.reject(error);
  }

  protected abstract reject(error: unknown): void;
}

/** Bounds of an outbox. */
export interface OutboxLimits {
  readonly resource: string;
  readonly maxQueued: number;
  readonly maxQueuedBytes: number;
  /** Why nothing can be sent, or `undefined` when it may be queued. */
  readonly refusal: () => StewardError | undefined;
}

/**
 * Messages that the system has not taken yet, bounded in count and bytes.
 *
 * What is sent in one tick is written together, so a burst costs one system call instead of one per message.
 */
export class Outbox {
  readonly #limits: OutboxLimits;
  #queue: Outgoing[] = [];
  #urgent: Outgoing[] = [];
  #head = 0;
  #count = 0;
  #bytes = 0;
  #writing: Outgoing[][] = [];
  #link: Link | undefined;
  #isOpen = false;
  #scheduled = false;

  constructor(limits: OutboxLimits) {
    this.#limits = limits;
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
    const lost = this.#writing.filter((batch) => batch[0]?.link === link);
    this.#writing = this.#writing.filter((batch) => !lost.includes(batch));
    for (const item of lost.flat()) {
      this.#taken(item);
      item.fail(error);
    }
  }

  /** There is no connection: gives up what is urgent, and all that waits where `all` says so. */
  detach(error: StewardError, all: boolean): void {
    this.#link = undefined;
    this.#isOpen = false;
    for (const item of this.#urgent.splice(0)) if (item.waits) item.fail(error);
    if (all) this.#reject(error);
  }

  #reject(error: StewardError): void {
    const waiting = this.#queue.slice(this.#head);
    this.#queue = [];
    this.#head = 0;
    for (const item of waiting) if (item.waits) item.fail(error);
  }

  add(item: Outgoing): void {
    const { maxQueued, maxQueuedBytes, refusal } = this.#limits;
    const why = item.urgent ? undefined : refusal();
    if (why !== undefined) return item.fail(why);
    if (this.#count >= maxQueued || this.#bytes + item.bytes > maxQueuedBytes) return item.fail(this.#overloaded(item));
    item.waits = true;
    this.#count++;
    this.#bytes += item.bytes;
    if (item.urgent) this.#urgent.push(item);
    else this.#queue.push(item);
    this.#schedule();
  }

  #overloaded(item: Outgoing): StewardError {
    const { resource, maxQueued, maxQueuedBytes } = this.#limits;
    const message = `${resource}: the outbound queue is full (${this.#count} of ${maxQueued} messages, ${this.#bytes} of ${maxQueuedBytes} bytes, ${item.bytes} more asked for); await send(), or raise its bounds`;
    return new StewardError("OVERLOADED", message, { resource, retryable: item.bytes <= maxQueuedBytes });
  }

  /** A message was given up while it waited. */
  forget(item: Outgoing): void {
    if (item.waits) this.#taken(item);
  }

  #taken(item: Outgoing): void {
    if (item.bytes < 0) return;
    item.waits = false;
    this.#count--;
    this.#bytes -= item.bytes;
    item.bytes = -1;
  }

  #schedule(): void {
    if (this.#scheduled || this.#link === undefined) return;
    this.#scheduled = true;
    process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    const link = this.#link;
    if (link === undefined || !link.isOpen) return;
    link.cork();
    try {
      for (
        let room = WINDOW_BYTES - link.ws.bufferedAmount;
        room > 0 && this.#writeBatch(link, room);
        room = WINDOW_BYTES - link.ws.bufferedAmount
      );
    } finally {
      link.uncork();
    }
  };

  /** Writes as much as there is room for; its last message tells when all of it has been taken. */
  #writeBatch(link: Link, roomBytes: number): boolean {
    const batch: Outgoing[] = [];
    let next = this.#next();
    for (let room = roomBytes; next !== undefined;) {
      const item = next;
      room -= item.bytes;
      batch.push(item);
      item.waits = false;
      item.link = link;
      next = room > 0 ? this.#next() : undefined;
      const payload = item.payload(link);
      if (next === undefined) this.#writing.push(batch);
      link.write(payload, next === undefined ? () => this.#onTaken(batch) : undefined);
    }
    return batch.length > 0;
  }

  #next(): Outgoing | undefined {
    for (let item = this.#urgent.shift(); item !== undefined; item = this.#urgent.shift()) if (item.waits) return item;
    while (this.#isOpen && this.#head < this.#queue.length) {
      const item = this.#queue[this.#head++];
      if (this.#head === this.#queue.length) [this.#queue, this.#head] = [[], 0];
      if (item?.waits === true) return item;
    }
    return undefined;
  }

  #onTaken(batch: Outgoing[]): void {
    const place = this.#writing.indexOf(batch);
    if (place < 0) return;
    this.#writing.splice(place, 1);
    for (const item of batch) {
      this.#taken(item);
      item.written();
    }
    if (this.#head < this.#queue.length) this.#schedule();
  }
}
