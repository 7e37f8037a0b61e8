import type { PubSub } from "@steward/core";

/** A message of a room as it goes from instance to instance. */
export interface Relayed {
  readonly origin: string;
  readonly number: number;
  readonly room: string;
  readonly text: string;
}

/** What the other instances announce. */
export interface FanoutOwner {
  relayed(message: Relayed): void;
  noted(origin: string, note: unknown): void;
  gap(): void;
}

/**
 * Carries messages between instances over a broker. One topic for the messages of all rooms, so their order per
 * instance holds and a missing number shows; one for notes (presence, probes).
 */
export class Fanout {
  readonly #pubSub: PubSub;
  readonly #topic: string;
  readonly #instance: string;
  readonly #owner: FanoutOwner;
  #ends: (() => unknown)[] = [];
  #echoes = new Map<string, () => void>();
  #probes = 0;

  constructor(pubSub: PubSub, topic: string, instance: string, owner: FanoutOwner) {
    this.#pubSub = pubSub;
    this.#topic = topic;
    this.#instance = instance;
    this.#owner = owner;
  }

  async open(): Promise<void> {
    const messages = await this.#pubSub.subscribe(`${this.#topic}:messages`, (text) => this.#receive(text));
    this.#ends.push(messages);
    this.#ends.push(await this.#pubSub.subscribe(`${this.#topic}:notes`, (text) => this.#note(text)));
    const gap = this.#pubSub.onGap?.(() => this.#owner.gap());
    if (gap !== undefined) this.#ends.push(gap);
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#ends.splice(0).map(async (end) => end()));
  }

  /** Sends a message to the other instances. The first line says whose it is, so that only that has to be read. */
  async publish(number: number, room: string, text: string): Promise<void> {
    await this.#pubSub.publish(
      `${this.#topic}:messages`,
      `${this.#instance} ${number} ${JSON.stringify(room)}\n${text}`,
    );
  }

  async note(note: unknown): Promise<void> {
    await this.#pubSub.publish(`${this.#topic}:notes`, JSON.stringify({ from: this.#instance, note }));
  }

  /** A round trip through the broker: resolves when our own note comes back. */
  async echo(): Promise<void> {
    const probe = `${this.#instance}/${++this.#probes}`;
    const back = new Promise<void>((resolve) => this.#echoes.set(probe, resolve));
    try {
      await this.note({ probe });
      await back;
    } finally {
      this.#echoes.delete(probe);
    }
  }

  #receive(message: string): void {
    const found = /^(\S+) (\d+) (.+)\n/.exec(message);
    const [head = "", origin = "", number = "0", room = '""'] = found ?? [];
    if (found === null || origin === this.#instance) return;
    this.#owner.relayed({
      origin,
      number: Number(number),
      room: String(JSON.parse(room)),
      text: message.slice(head.length),
    });
  }

  #note(text: string): void {
    const { from, note }: { from?: unknown; note?: { probe?: string } } = JSON.parse(text);
    if (from === this.#instance) this.#echoes.get(note?.probe ?? "")?.();
    else if (typeof from === "string") this.#owner.noted(from, note);
  }
}
