import type { Socket } from "node:net";

/** What a direction of a connection suffers. */
export interface FlowFaults {
  /** Delay of the next bytes, in ms. */
  delayMs(): number;
  /** Most bytes per second; `Infinity` is no limit. */
  readonly bytesPerSecond: number;
  /** True while bytes wait. */
  readonly held: boolean;
  /** True while bytes are lost. */
  readonly lossy: boolean;
}

/** Receives what happened to the bytes. */
export interface FlowListener {
  arrived(bytes: number): void;
  lost(bytes: number): void;
  /** How many of the next `bytes` may pass; the rest is lost. */
  allow(bytes: number): number;
}

interface Chunk {
  /** Nothing marks the end of the stream. */
  bytes: Buffer | undefined;
  dueAt: number;
}

const SLICES_PER_SECOND = 50;
const MOST_QUEUED_BYTES = 256 * 1024;

/** One direction of a proxied connection: bytes come out in order, late, slowly, or not at all. */
export class Flow {
  readonly #source: Socket;
  readonly #target: Socket;
  readonly #faults: FlowFaults;
  readonly #listener: FlowListener;
  readonly #queue: Chunk[] = [];
  #queuedBytes = 0;
  #notBefore = 0;
  #timer: NodeJS.Timeout | undefined;
  #full = false;
  #dead = false;

  constructor(source: Socket, target: Socket, faults: FlowFaults, listener: FlowListener) {
    this.#source = source;
    this.#target = target;
    this.#faults = faults;
    this.#listener = listener;
    source.on("data", (bytes: Buffer) => this.#take(bytes));
    source.on("end", () => this.#take(undefined));
    target.on("drain", () => {
      this.#full = false;
      this.run();
    });
  }

  /** True once bytes were lost: the stream has a hole, so nothing passes any more. */
  get dead(): boolean {
    return this.#dead;
  }

  /** Loses everything from here on, for good. */
  kill(): void {
    this.#dead = true;
    this.close();
    this.#listener.lost(this.#queuedBytes);
    this.#queuedBytes = 0;
    this.#source.resume();
  }

  /** Forgets what waits and ends the timer. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#queue.length = 0;
  }

  /** Lets what waits for its time go now. */
  hurry(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#notBefore = 0;
    for (const chunk of this.#queue) chunk.dueAt = 0;
    this.run();
  }

  /** Passes on what may pass now, and sets the timer for the rest. */
  run(): void {
    while (this.#timer === undefined && !this.#full && !this.#faults.held) {
      const head = this.#queue[0];
      if (head === undefined) return;
      const waitMs = Math.max(head.dueAt, this.#notBefore) - performance.now();
      if (waitMs > 0) this.#wait(waitMs);
      else this.#pass(head);
    }
  }

  #take(bytes: Buffer | undefined): void {
    this.#listener.arrived(bytes?.length ?? 0);
    if (this.#dead || this.#faults.lossy) {
      this.#dead = true;
      this.#listener.lost(bytes?.length ?? 0);
      return;
    }
    this.#queue.push({ bytes, dueAt: performance.now() + this.#faults.delayMs() });
    this.#queuedBytes += bytes?.length ?? 0;
    if (this.#queuedBytes > MOST_QUEUED_BYTES) this.#source.pause();
    this.run();
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.run();
    }, ms);
  }

  #pass(head: Chunk): void {
    if (head.bytes === undefined) {
      this.#queue.shift();
      this.#target.end();
      return;
    }
    const slice = head.bytes.subarray(0, Math.max(1, Math.ceil(this.#faults.bytesPerSecond / SLICES_PER_SECOND)));
    const allowed = this.#listener.allow(slice.length);
    if (allowed > 0) this.#write(slice.subarray(0, allowed));
    this.#listener.lost(slice.length - allowed);
    this.#consume(head, head.bytes, slice.length);
  }

  #write(bytes: Buffer): void {
    this.#notBefore = performance.now() + (bytes.length / this.#faults.bytesPerSecond) * 1_000;
    this.#full = !this.#target.write(bytes) && !this.#target.destroyed;
  }

  #consume(head: Chunk, bytes: Buffer, count: number): void {
    this.#queuedBytes -= count;
    if (count === bytes.length) this.#queue.shift();
    else head.bytes = bytes.subarray(count);
    if (this.#queuedBytes < MOST_QUEUED_BYTES / 2) this.#source.resume();
  }
}
