import type { Clock, PubSub } from "@steward/core";
import { Lookout } from "@steward/core/driver";

/** A message that was heard. */
export interface Message {
  readonly shard: number;
  readonly epoch: string;
  readonly clock: number;
  /** `k` key, `x` expired key, `t` tags, `a` all, `h` a sign of life, `w` somebody's load has ended. */
  readonly kind: string;
  readonly what: string;
}

/** What a bus is made with. */
export interface BusParts {
  readonly clock: Clock;
  readonly port: PubSub;
  readonly topic: string;
  readonly onMessage: (message: Message) => void;
  /** Messages may have been lost. */
  readonly onLoss: (reason: "gap" | "silence") => void;
  /** Asks for a sign of life, which is to arrive as a message. */
  readonly beat: () => void;
}

const SILENCE_MS = 10_000;
const BEAT_AFTER_MS = 4_000;
const LOOK_EVERY_MS = 2_000;
const MESSAGE = /^(\d+) (\S+) (\d+) ([a-z]) ([^]*)$/;

/** Listens to what other instances make void, and notices when nothing is heard any more. */
export class Bus {
  readonly #parts: BusParts;
  #state: "closed" | "silent" | "alive" = "closed";
  #heardAt = Number.NEGATIVE_INFINITY;
  readonly #lookout: Lookout;
  #end: (() => Promise<void>) | undefined;
  #endGaps: (() => void) | undefined;
  #opening: Promise<void> | undefined;

  constructor(parts: BusParts) {
    this.#parts = parts;
    this.#lookout = new Lookout(parts.clock, LOOK_EVERY_MS, (stoodStill) => this.#look(stoodStill));
  }

  /** Whether messages arrive. */
  get isAlive(): boolean {
    return this.#state === "alive";
  }

  /** Begins to listen. It goes on trying for as long as it is open. */
  open(): Promise<void> {
    this.#state = "silent";
    this.#endGaps = this.#parts.port.onGap?.(() => {
      this.#parts.onLoss("gap");
      this.#parts.beat();
    });
    this.#lookout.start();
    return this.#subscribe();
  }

  async close(): Promise<void> {
    this.#state = "closed";
    this.#lookout.stop();
    this.#endGaps?.();
    await this.#opening;
    const end = this.#end;
    this.#end = undefined;
    await end?.().catch(() => {}); // a subscription of a connection that is gone has ended too
  }

  #subscribe(): Promise<void> {
    this.#opening ??= this.#parts.port
      .subscribe(this.#parts.topic, (text) => this.#hear(text))
      .then(
        (end) => {
          this.#end = end;
          if (this.#state !== "closed") this.#parts.beat();
        },
        () => {}, // tried again while it is silent
      )
      .finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  #hear(text: string): void {
    const [, shard, epoch = "", clock, kind = "", what = ""] = MESSAGE.exec(text) ?? [];
    if (shard === undefined || this.#state === "closed") return;
    this.#heardAt = this.#parts.clock.now();
    if (this.#state === "silent") {
      this.#state = "alive";
      this.#parts.onLoss("gap"); // no one knows what was said meanwhile
    }
    this.#parts.onMessage({ shard: Number(shard), epoch, clock: Number(clock), kind, what });
  }

  /** Time in which this process stood still is no silence of the others. */
  #look(stoodStill: boolean): void {
    if (stoodStill && this.#state === "alive") this.#heardAt = this.#parts.clock.now();
    const silentMs = this.#parts.clock.now() - this.#heardAt;
    if (silentMs > SILENCE_MS && this.#state === "alive") {
      this.#state = "silent";
      this.#parts.onLoss("silence");
    }
    if (this.#end === undefined) void this.#subscribe();
    else if (silentMs > BEAT_AFTER_MS) this.#parts.beat();
  }
}
