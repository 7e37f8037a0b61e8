import { randomBytes } from "node:crypto";
import type { CacheSettings, RemoteSettings } from "../options.ts";
import { BEAT, CLEAR, DELETE, EXPIRE, GIVE_UP, LOOK, PUT, SET, TAG } from "./scripts.ts";
import type { Server } from "./server.ts";
import { Shard, shardOf, type Observed } from "./shard.ts";

/** What a look found in Redis. */
export type Looked =
  | { readonly state: "load" | "miss"; readonly epoch: string; readonly clock: number }
  | { readonly state: "wait"; readonly leaseAgeMs: number }
  | {
      /** `refresh`: it is stale, and the one who looked is to load a new one. */
      readonly state: "fresh" | "stale" | "refresh";
      readonly epoch: string;
      readonly clock: number;
      readonly valueClock: number;
      readonly freshMs: number;
      readonly usableMs: number;
      readonly ageMs: number;
      readonly tags: readonly string[];
      readonly bytes: Uint8Array;
    };

/** A value as it is put. */
export interface PutParts {
  readonly token: string;
  readonly epoch: string;
  readonly clock: number;
  readonly bytes: Uint8Array;
  readonly freshMs: number;
  readonly usableMs: number;
  readonly tags: readonly string[];
}

const STATES = { F: "fresh", S: "stale", R: "refresh", L: "load", M: "miss", W: "wait" } as const;

/** A lease outlives the load that it is for by so much, in ms. */
const LEASE_SPARE_MS = 1_000;

/** Words of the protocol as calls: what is read and written in Redis, each in one round trip. */
export class Store {
  readonly topic: string;
  readonly shards: readonly Shard[];
  readonly #resource: string;
  readonly #server: Server;
  readonly #settings: CacheSettings;
  readonly #onObserved: (shard: Shard, what: Observed, clock: number) => void;

  constructor(
    resource: string,
    server: Server,
    settings: CacheSettings,
    { prefix, shards }: RemoteSettings,
    onObserved: (shard: Shard, what: Observed, clock: number) => void,
  ) {
    this.#resource = resource;
    this.#server = server;
    this.#settings = settings;
    this.#onObserved = onObserved;
    const name = `${prefix}:${resource}:v${settings.version}`;
    this.topic = `${name}:void`;
    const tag = (i: number): string => (shards === 1 ? `{${name}}` : `{${name}:${i}/${shards}}`);
    this.shards = Array.from({ length: shards }, (_, i) => new Shard(i, tag(i), settings.maxTags));
  }

  shardOf(key: string): Shard {
    const shard = this.shards[shardOf(key, this.shards.length)];
    if (shard === undefined) throw new RangeError("there is no such shard"); // there is one for each remainder
    return shard;
  }

  /** Looks; with a token it asks for the right to load, for as long as a load may take. */
  async look(key: string, token = "", loadTimeoutMs = 0): Promise<Looked> {
    const shard = this.shardOf(key);
    const keys = [shard.entryKey(this.#resource, key), shard.marksKey];
    const { seen } = shard;
    const args = [
      `${token},${Math.ceil(loadTimeoutMs) + LEASE_SPARE_MS},${Math.ceil(this.#settings.waitMs)},${seed()}`,
    ];
    const { state, epoch, clock, rest, body } = replyIn(await this.#server.runBinary(LOOK, keys, args));
    this.#observe(shard, epoch, clock, seen);
    if (state === "wait") return { state, leaseAgeMs: Number(rest[0]) };
    if (state === "load" || state === "miss") return { state, epoch, clock };
    const [valueClock = 0, freshMs = 0, usableMs = 0, ageMs = 0, tagBytes = 0] = rest.map(Number);
    const tags = tagBytes === 0 ? NO_TAGS : tagsIn(body.toString("utf8", 0, tagBytes));
    return { state, epoch, clock, valueClock, freshMs, usableMs, ageMs, tags, bytes: body.subarray(tagBytes) };
  }

  /** Stores what was loaded. `false` when its key was made void meanwhile, or another one has loaded it. */
  async put(key: string, { token, epoch, clock, bytes, freshMs, usableMs, tags }: PutParts): Promise<boolean> {
    const shard = this.shardOf(key);
    const args = [token, bytes, epoch, clock, Math.round(freshMs), Math.round(usableMs), tagText(tags)];
    const keys = [shard.entryKey(this.#resource, key)];
    return Number(await this.#server.run(PUT, keys, [...args, this.topic, wakeText(shard, epoch, key)])) === 1;
  }

  /** The load of a token has failed. */
  async giveUp(key: string, token: string, epoch: string): Promise<void> {
    const shard = this.shardOf(key);
    const args = [token, Math.ceil(this.#settings.retryMs), this.topic, wakeText(shard, epoch, key)];
    await this.#server.run(GIVE_UP, [shard.entryKey(this.#resource, key)], args);
  }

  /** Stores a value over all that is there. Gives its clock. */
  set(key: string, bytes: Uint8Array, freshMs: number, usableMs: number, tags: readonly string[]): Promise<number> {
    const more = [bytes, Math.round(freshMs), Math.round(usableMs), tagText(tags)];
    return this.#ofKey(SET, key, more);
  }

  delete(key: string): Promise<number> {
    return this.#ofKey(DELETE, key, []);
  }

  expire(key: string): Promise<number> {
    return this.#ofKey(EXPIRE, key, []);
  }

  voidTags(shard: Shard, tags: readonly string[]): Promise<number> {
    return this.#run(shard, TAG, [shard.marksKey], [tagText(tags), this.#settings.maxTags]);
  }

  clear(shard: Shard): Promise<number> {
    return this.#run(shard, CLEAR, [shard.marksKey], [Math.ceil(shard.seen)]);
  }

  beat(shard: Shard): Promise<number> {
    return this.#run(shard, BEAT, [shard.marksKey], []);
  }

  #ofKey(script: string, key: string, more: readonly (string | number | Uint8Array)[]): Promise<number> {
    const shard = this.shardOf(key);
    return this.#run(shard, script, [shard.entryKey(this.#resource, key), shard.marksKey], [key, ...more]);
  }

  async #run(
    shard: Shard,
    script: string,
    keys: readonly string[],
    more: readonly (string | number | Uint8Array)[],
  ): Promise<number> {
    const { seen } = shard;
    const args = [seed(), this.topic, shard.index, ...more];
    const [epoch, clock] = (await this.#server.run(script, keys, args)) as readonly [string, number]; // as the script gives it
    this.#observe(shard, epoch, Number(clock), seen);
    return Number(clock);
  }

  #observe(shard: Shard, epoch: string, clock: number, seen: number): void {
    const what = shard.observe(epoch, clock, seen);
    if (what !== "known") this.#onObserved(shard, what, clock);
  }
}

const PROCESS = randomBytes(12).toString("base64url");
let count = 0;

/** What no one else has, nor had: an epoch, or a token of one who loads. Cheap, for each look needs two. */
export function seed(): string {
  return `${PROCESS}.${(count += 1)}`;
}

function wakeText(shard: Shard, epoch: string, key: string): string {
  return `${shard.index} ${epoch} 0 w ${key}`;
}

const NO_TAGS: readonly string[] = [];
const NEW_LINE = 10;

/** What the script of a look gives: a line of parts, and what stands behind it. */
interface Reply {
  readonly state: (typeof STATES)[keyof typeof STATES];
  readonly epoch: string;
  readonly clock: number;
  readonly rest: readonly string[];
  readonly body: Buffer;
}

/** Takes a reply apart. @throws TypeError for what is none: it comes from outside. */
function replyIn(given: unknown): Reply {
  const bytes = given instanceof Uint8Array ? Buffer.from(given.buffer, given.byteOffset, given.byteLength) : undefined;
  const end = bytes?.indexOf(NEW_LINE) ?? -1;
  const [name = "", epoch = "", clock = "", ...rest] =
    bytes === undefined ? [] : bytes.toString("latin1", 0, end).split(",");
  if (bytes === undefined || end < 0 || !Object.hasOwn(STATES, name) || !/^\d+$/.test(clock))
    throw new TypeError("Redis has given what is no reply to a look");
  return {
    state: STATES[name as keyof typeof STATES],
    epoch,
    clock: Number(clock),
    rest,
    body: bytes.subarray(end + 1),
  }; // it has it, the line above says
}

const ESCAPED = /[%,]/g;

function tagText(tags: readonly string[]): string {
  return tags.map((tag) => tag.replaceAll(ESCAPED, encodeURIComponent)).join(",");
}

/** Tags as they are written in Redis. */
export function tagsIn(written: string): readonly string[] {
  if (written === "") return [];
  return written.split(",").map((tag) => tag.replaceAll("%2C", ",").replaceAll("%25", "%"));
}
