import { GuardedUse } from "@steward/core/driver";
import type { Payload, Reply } from "../../wire/protocol.ts";

/** Text up to this length is sent as bytes: ws makes one buffer of those and their header, which costs less to write. */
const SHORT = 4_096;

/** A call that was written and waits for its reply. */
export interface OpenCall {
  /** The other side said something about it. True when that was the last of it. */
  replied(reply: Reply): boolean;
  fail(error: unknown): void;
}

/** The connection that a message is written to. */
export interface Carrier {
  /** Calls that wait for their reply, by id. */
  readonly calls: Map<number, OpenCall>;
  /** A call was given up; its late reply is ignored. */
  forget(id: number): void;
  /** Whether we did not read at some time since then, in ms of the clock: replies may lie in the socket. */
  wasUnreadSince(instant: number): boolean;
}

/** Where messages wait until they are written. */
export interface Outlet {
  add(item: Outgoing): void;
  /** A message was given up. */
  forget(item: Outgoing): void;
}

/** A message on its way out. */
export abstract class Outgoing extends GuardedUse {
  /** What is sent. */
  data: Payload = "";
  /** True when it is text, whatever it is kept as. */
  isText = false;
  /** Its size. */
  bytes = 0;
  /** The connection it was written to. */
  link: Carrier | undefined = undefined;
  /** True for the last one of those that are written together: when it has been taken, all of them have. */
  endsBatch = false;
  /** True for what a resume hook sends: it goes before everything else. */
  readonly urgent: boolean;
  /** The row it stands in, and its neighbours there. */
  row: Row | undefined = undefined;
  previous: Outgoing | undefined = undefined;
  next: Outgoing | undefined = undefined;
  protected readonly outbox: Outlet;

  constructor(outbox: Outlet, urgent: boolean) {
    super();
    this.outbox = outbox;
    this.urgent = urgent;
  }

  /** Puts it into the outbox. */
  protected put(payload: Payload): void {
    this.isText = typeof payload === "string";
    this.data = typeof payload === "string" && payload.length <= SHORT ? Buffer.from(payload) : payload;
    this.bytes = typeof this.data === "string" ? Buffer.byteLength(this.data) : this.data.byteLength;
    this.outbox.add(this);
  }

  /** It is about to be written to that connection. */
  abstract written(link: Carrier): void;

  /** The system has taken it. */
  abstract taken(): void;

  protected override giveUp(error: unknown): void {
    this.outbox.forget(this);
    this.reject(error);
  }

  protected abstract reject(error: unknown): void;
}

/** Messages one behind the other, linked by themselves: any of them can leave at once, and none costs an allocation. */
export class Row {
  #first: Outgoing | undefined;
  #last: Outgoing | undefined;

  get first(): Outgoing | undefined {
    return this.#first;
  }

  push(item: Outgoing): void {
    item.row = this;
    item.previous = this.#last;
    if (this.#last === undefined) this.#first = item;
    else this.#last.next = item;
    this.#last = item;
  }

  remove(item: Outgoing): void {
    if (item.previous === undefined) this.#first = item.next;
    else item.previous.next = item.next;
    if (item.next === undefined) this.#last = item.previous;
    else item.next.previous = item.previous;
    item.row = item.previous = item.next = undefined;
  }
}
