import type { Binding, Clock, Timer } from "@steward/core";
import { containerError } from "./errors.ts";
import type { ScopeState } from "./scope.ts";

/** Bounds of user sessions. */
export interface SessionOptions {
  /** How long a session may go unused, in ms. Default 30 minutes. */
  readonly idleTimeoutMs?: number;
  /** How long a session may live in all, in ms. Default 12 hours. */
  readonly maxLifetimeMs?: number;
  /** How many sessions there may be. Past that the one unused for longest goes. Default 10,000. */
  readonly max?: number;
}

interface Entry {
  readonly scope: ScopeState;
  readonly since: number;
  lastUsed: number;
  users: number;
}

const DEFAULTS = { idleTimeoutMs: 30 * 60_000, maxLifetimeMs: 12 * 3_600_000, max: 10_000 };

/** The sessions of a container: keyed scopes that end when unused, when too old, or when there are too many. */
export class Sessions {
  readonly #clock: Clock;
  readonly #options: typeof DEFAULTS;
  readonly #open: (inputs: readonly Binding[]) => ScopeState;
  /** In the order of their last use: the first is the one unused for longest. */
  readonly #entries = new Map<string, Entry>();
  readonly #ending = new Set<Promise<void>>();
  #timer: Timer | undefined;

  constructor(clock: Clock, options: SessionOptions, open: (inputs: readonly Binding[]) => ScopeState) {
    this.#clock = clock;
    this.#options = { ...DEFAULTS, ...options };
    this.#open = open;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The session of a key, opened with `inputs` where there is none; in use until `leave` is called. */
  enter(key: string, inputs: readonly Binding[]): { readonly scope: ScopeState; readonly leave: () => void } {
    const entry = this.#valid(key) ?? this.#add(key, inputs);
    entry.users++;
    this.#touch(key, entry);
    return { scope: entry.scope, leave: () => this.#leave(key, entry) };
  }

  /** Ends a session once nobody uses it any more. */
  async end(key: string): Promise<void> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    if (entry.users === 0) await this.#close(entry);
  }

  /** Ends all; their users have gone by now. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    await Promise.allSettled([...entries.map((entry) => this.#close(entry)), ...this.#ending]);
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
    const entry = { scope: this.#open(inputs), since: now, lastUsed: now, users: 0 };
    this.#entries.set(key, entry);
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

  #leave(key: string, entry: Entry): void {
    entry.users--;
    if (this.#entries.get(key) === entry) this.#touch(key, entry);
    else if (entry.users === 0) void this.#close(entry).catch(() => {});
  }

  #retire(key: string, entry: Entry): void {
    this.#entries.delete(key);
    if (entry.users === 0) void this.#close(entry).catch(() => {});
  }

  #close(entry: Entry): Promise<void> {
    const closed = entry.scope.close();
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
