import type { Binding, Clock, Timer } from "@steward/core";
import { milliseconds, type Shape, shape, wholeNumber } from "@steward/core/container";
import { containerError } from "../errors.ts";
import type { LiveNode } from "../lifecycle/live-node.ts";
import type { Bounds } from "../scope/bounds.ts";
import type { SessionState } from "./session.ts";

/** Bounds of user sessions. */
export interface SessionOptions {
  /** How long a session may go unused, in ms. Default 30 minutes. */
  readonly idleTimeoutMs?: number;
  /** How long a session may live in all, in ms. Default 12 hours. */
  readonly maxLifetimeMs?: number;
  /** How many sessions there may be. Past that the one unused for longest goes. Default 10,000. */
  readonly max?: number;
}

/** What the options of sessions must be. */
export const sessionShape: Shape<SessionOptions> = /* @__PURE__ */ shape<SessionOptions>(() => ({
  idleTimeoutMs: milliseconds(),
  maxLifetimeMs: milliseconds(),
  max: wholeNumber(1),
}));

interface Entry {
  readonly session: SessionState;
  readonly since: number;
  lastUsed: number;
  users: number;
}

const DEFAULTS = { idleTimeoutMs: 30 * 60_000, maxLifetimeMs: 12 * 3_600_000, max: 10_000 };

/** The sessions of a container: by key; they end when unused, when too old, or when there are too many. */
export class Sessions {
  readonly #clock: Clock;
  readonly #options: typeof DEFAULTS;
  readonly #open: (inputs: readonly Binding[]) => SessionState;
  /** In the order of their last use: the first is the one unused for longest. */
  readonly #entries = new Map<string, Entry>();
  /** Those too that have lost their key and are still in use, or end. */
  readonly #alive = new Set<SessionState>();
  readonly #ending = new Set<Promise<void>>();
  #timer: Timer | undefined;

  constructor(clock: Clock, options: SessionOptions, open: (inputs: readonly Binding[]) => SessionState) {
    this.#clock = clock;
    this.#options = { ...DEFAULTS, ...options };
    this.#open = open;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The session of a key, opened with `inputs` where there is none; in use until `done` is called. */
  use(key: string, inputs: readonly Binding[]): { readonly session: SessionState; readonly done: () => void } {
    const entry = this.#valid(key) ?? this.#add(key, inputs);
    entry.users++;
    this.#touch(key, entry);
    return { session: entry.session, done: () => this.#done(key, entry) };
  }

  /** Ends a session after its last user. */
  async end(key: string): Promise<void> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    if (entry.users === 0) await this.#close(entry.session);
  }

  /** Releases what holds any of these instances, in every session. Gives what failed. */
  async release(nodes: readonly LiveNode[], bounds: Bounds): Promise<unknown[]> {
    return failuresOf([...[...this.#alive].map((session) => session.release(nodes, bounds)), ...this.#ending]);
  }

  /** Ends all, those still in use too. Gives what failed. */
  async close(): Promise<unknown[]> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#entries.clear();
    for (const session of this.#alive) void this.#close(session).catch(() => {}); // they are collected below
    return failuresOf([...this.#ending]);
  }

  #valid(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || !this.#expired(entry)) return entry;
    this.#retire(key, entry);
    return undefined;
  }

  #expired(entry: Entry): boolean {
    const now = this.#clock.now();
    const idle = entry.users === 0 && now - entry.lastUsed >= this.#options.idleTimeoutMs;
    return idle || now - entry.since >= this.#options.maxLifetimeMs;
  }

  #add(key: string, inputs: readonly Binding[]): Entry {
    if (this.#entries.size >= this.#options.max) this.#makeRoom();
    const now = this.#clock.now();
    const entry = { session: this.#open(inputs), since: now, lastUsed: now, users: 0 };
    this.#entries.set(key, entry);
    this.#alive.add(entry.session);
    this.#arm();
    return entry;
  }

  #makeRoom(): void {
    for (const [key, entry] of this.#entries) {
      if (entry.users > 0) continue;
      return this.#retire(key, entry);
    }
    throw containerError("SESSION_LIMIT", `all ${this.#options.max} sessions are in use; raise sessions.max`, {
      retryable: true,
    });
  }

  #touch(key: string, entry: Entry): void {
    entry.lastUsed = this.#clock.now();
    if (this.#entries.delete(key)) this.#entries.set(key, entry);
  }

  #done(key: string, entry: Entry): void {
    entry.users--;
    if (this.#entries.get(key) === entry) this.#touch(key, entry);
    else if (entry.users === 0) void this.#close(entry.session).catch(() => {});
  }

  #retire(key: string, entry: Entry): void {
    this.#entries.delete(key);
    if (entry.users === 0) void this.#close(entry.session).catch(() => {});
  }

  #close(session: SessionState): Promise<void> {
    if (!this.#alive.delete(session)) return Promise.resolve();
    const closed = session.close();
    this.#ending.add(closed);
    return closed.finally(() => this.#ending.delete(closed));
  }

  /** One timer for all sessions; it looks again when the next one may have expired. */
  #arm(): void {
    if (this.#timer !== undefined || this.#entries.size === 0) return;
    const delayMs = Math.max(1_000, Math.min(this.#options.idleTimeoutMs, this.#options.maxLifetimeMs) / 4);
    this.#timer = this.#clock.setTimeout(() => this.#sweep(), delayMs, { unref: true });
  }

  #sweep(): void {
    this.#timer = undefined;
    for (const [key, entry] of this.#entries) if (this.#expired(entry)) this.#retire(key, entry);
    this.#arm();
  }
}

async function failuresOf(work: readonly Promise<void>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(work);
  return settled.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
}
