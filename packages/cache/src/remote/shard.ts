import { createHash } from "node:crypto";
import { cacheError } from "../errors.ts";
import { Marks } from "../local/marks.ts";

/** Longest key of an entry in Redis that is readable; of a longer one there is a hash. In bytes. */
const READABLE_BYTES = 200;
const LONE_SURROGATE = /\p{Surrogate}/u;
/** Ticks of this process lie between those of the server. */
const LOCAL_TICK = 2 ** -20;

/** What a reply says of the marks. */
export type Observed = "known" | "ahead" | "lost" | "back";

/** A part of the keys with marks of its own, so that they are in one slot of a cluster. */
export class Shard {
  readonly index: number;
  readonly marksKey: string;
  marks: Marks;
  readonly #tag: string;
  readonly #maxTags: number;
  #epoch: string | undefined;
  /** The clock up to which every message was heard. */
  #heard = 0;
  /** The newest clock that the server has shown. */
  #seen = 0;
  #awaited = 0;

  constructor(index: number, tag: string, maxTags: number) {
    this.index = index;
    this.#tag = tag;
    this.#maxTags = maxTags;
    this.marksKey = `${tag}m`;
    this.marks = new Marks(maxTags);
  }

  get seen(): number {
    return this.#seen;
  }

  /** The key of an entry in Redis. @throws {CACHE_KEY_INVALID} when it is no text that UTF-8 can write. */
  entryKey(resource: string, key: string): string {
    if (LONE_SURROGATE.test(key))
      throw cacheError("CACHE_KEY_INVALID", `${resource}: a key holds half of a character`, { resource });
    if (Buffer.byteLength(key) <= READABLE_BYTES) return `${this.#tag}k${key}`;
    return `${this.#tag}h${createHash("sha256").update(key).digest("base64url")}`;
  }

  /**
   * A reply has come: what it says of the marks.
   * @param since What {@link seen} was when it was asked: a server that shows less has lost writes.
   */
  observe(epoch: string, clock: number, since: number): Observed {
    if (this.#epoch !== epoch) return this.#reset(epoch, clock);
    if (clock < since) return "back";
    this.#reach(clock);
    return clock > this.#heard ? "ahead" : "known";
  }

  /** A message has come: whether none before it is missing. */
  hear(epoch: string, clock: number, isEvent: boolean): "known" | "gap" | "lost" {
    if (this.#epoch !== epoch) return this.#reset(epoch, clock) === "lost" ? "lost" : "known";
    const gap = clock > this.#heard + (isEvent ? 1 : 0);
    this.#reach(clock);
    if (clock > this.#heard) this.#heard = clock;
    return gap ? "gap" : "known";
  }

  /** Whether all messages up to `clock` were heard. */
  hasHeard(clock: number): boolean {
    return this.#heard >= clock;
  }

  /** Whether somebody waits already for the messages up to `clock`; if not, the one who asks does from here on. */
  isWaitingFor(clock: number): boolean {
    const is = this.#awaited >= clock;
    this.#awaited = Math.max(this.#awaited, clock);
    return is;
  }

  /** What this process holds was dropped: messages up to now are not missed any more. */
  caughtUp(): void {
    this.#heard = Math.max(this.#heard, this.#seen);
  }

  /** The server has lost writes, and goes on from `clock`. */
  rewind(clock: number): void {
    this.marks = new Marks(this.#maxTags);
    this.#heard = this.#seen = this.#awaited = clock;
    this.marks.reach(clock);
  }

  /** A clock of this process alone: after all that the server has shown, and before all that it will show. */
  tick(): number {
    const { marks } = this;
    marks.reach(marks.clock + LOCAL_TICK);
    return marks.clock;
  }

  #reach(clock: number): void {
    if (clock > this.#seen) this.#seen = clock;
    this.marks.reach(clock);
  }

  #reset(epoch: string, clock: number): "known" | "lost" {
    const isFirst = this.#epoch === undefined;
    this.#epoch = epoch;
    if (!isFirst) this.marks = new Marks(this.#maxTags);
    this.#heard = this.#seen = this.#awaited = clock;
    this.marks.reach(clock);
    return isFirst ? "known" : "lost";
  }
}

/** The shard of a key: FNV-1a. All instances have to agree on it. */
export function shardOf(key: string, count: number): number {
  if (count === 1) return 0;
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % count;
}
