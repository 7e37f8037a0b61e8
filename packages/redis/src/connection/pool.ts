import {
  Guard,
  type Call,
  type Clock,
  type GuardOptions,
  type GuardStats,
  type StewardError,
  type Timer,
} from "@steward/core";
import { outcomeUnknown, withTimeout } from "@steward/core/driver";
import type { Command } from "ioredis";
import type { RedisSettings } from "../options.ts";
import { openLink, type Link, type LinkSetup } from "./link.ts";
import { rejectUnknown } from "./outcome.ts";
import type { LinkPlan } from "./plan.ts";

/** Numbers of the connections that are lent. */
export interface PoolStats extends GuardStats {
  readonly size: number;
  readonly idle: number;
  readonly max: number;
}

/** What a pool needs to know. */
export interface PoolSetup {
  readonly resource: string;
  readonly clock: Clock;
  readonly settings: RedisSettings;
  readonly refusal: () => StewardError | undefined;
  /** What its calls are in a trace. */
  readonly about: GuardOptions["about"];
}

interface Held {
  readonly plan: LinkPlan;
  readonly link: Link;
  /** Number by which another connection can end its waiting. */
  readonly id: number;
  /** Made after this many renewals. */
  readonly generation: number;
  /** The command that waits on it for something to come. */
  blocking: Promise<unknown> | undefined;
  /** Whose work it does. */
  owner: object | undefined;
  /** Ends a use whose function goes on without its connection. */
  cutOff: ((reason: unknown) => void) | undefined;
}

/** Work on a connection; `sound` says afterwards whether the next one may have it. */
export interface PooledWork<T> {
  run(link: Link, call: Call): Promise<T>;
  sound(): boolean;
  /** True for one command that waits for something to come: it is awaited once its waiting was ended. */
  readonly blocks?: boolean;
  /** Whose work it is, see {@link ConnectionPool.unblock}. */
  readonly owner?: object;
  /** What events call it. */
  readonly operation?: string;
}

/** An idle connection older than this is asked for a sign of life before it is lent again. */
const TRUSTED_MS = 1_000;

/** Pause before a command is unblocked again that had not come to the server, in ms. */
const UNBLOCK_AGAIN_MS = 20;

/** Connections that are lent one by one: to blocking commands, and to callers that want one of their own. */
export class ConnectionPool {
  readonly guard: Guard;
  readonly #setup: PoolSetup;
  readonly #idle: Held[] = [];
  /**
   * From the moment in which they are chosen. Also those that were lent before a renewal: what waits on them may have
   * been given something.
   */
  readonly #inUse = new Set<Held>();
  #reaper: Timer | undefined;
  /** Aborts when no more are lent. */
  #closing = new AbortController();
  /** Aborts when the time of those that are still lent is over. */
  #ending = new AbortController();
  #generation = 0;

  constructor(setup: PoolSetup) {
    const { resource, clock, settings, refusal, about } = setup;
    const { maxConnections: maxConcurrent, maxPending, acquireTimeoutMs } = settings;
    this.#setup = setup;
    this.guard = new Guard({
      resource,
      subject: `${resource}, connections for blocking commands and use (maxConnections)`,
      clock,
      maxConcurrent,
      maxPending,
      acquireTimeoutMs,
      refusal,
      holdUntilSettled: true,
      about,
    });
  }

  open(): void {
    this.#closing = new AbortController();
    this.#ending = new AbortController();
  }

  stats(): PoolStats {
    const idle = this.#idle.length;
    return { ...this.guard.stats(), size: idle + this.#inUse.size, idle, max: this.#setup.settings.maxConnections };
  }

  /** Lends a connection to `work`, for at most `timeoutMs` once it has it. */
  run<T>(plan: LinkPlan, work: PooledWork<T>, timeoutMs: number, signal?: AbortSignal): Promise<T> {
    return this.guard.run(
      async (call) => {
        const held = await this.#take(plan, call.signal, work.blocks === true);
        call.acquired(timeoutMs);
        const force = (): void => cutOff(held, call.signal.reason);
        call.signal.addEventListener("abort", force, { once: true });
        try {
          return await this.#work(held, work, call);
        } finally {
          held.blocking = held.owner = held.cutOff = undefined;
          call.signal.removeEventListener("abort", force);
          this.#give(held, !call.signal.aborted && work.sound());
        }
      },
      { signal, operation: work.operation },
    );
  }

  #work<T>(held: Held, work: PooledWork<T>, call: Call): Promise<T> {
    const running = work.run(held.link, call);
    held.owner = work.owner;
    if (work.blocks === true) return (held.blocking = running); // the end of its connection ends it
    return Promise.race([running, new Promise<never>((_, reject) => (held.cutOff = reject))]);
  }

  /** One that comes while a drain or a stop has begun has no work done on it, if that would have to be ended again. */
  async #take(plan: LinkPlan, signal: AbortSignal, blocks: boolean): Promise<Held> {
    const held = (await this.#takeIdle(plan.where)) ?? (await this.#make(plan, signal));
    const refusal = blocks ? this.#setup.refusal() : undefined;
    const reason: unknown = signal.reason ?? this.#closing.signal.reason ?? refusal;
    if (reason === undefined) return held;
    this.#give(held, true);
    throw reason;
  }

  async #takeIdle(where: string): Promise<Held | undefined> {
    for (;;) {
      const held = this.#idle.filter((one) => one.plan.where === where).at(-1);
      if (held === undefined) return undefined;
      this.#idle.splice(this.#idle.indexOf(held), 1);
      this.#inUse.add(held);
      if (await this.#lives(held.link)) return held;
      this.#give(held, false);
    }
  }

  /** A connection may have died in silence while it was not used. */
  async #lives(link: Link): Promise<boolean> {
    const { clock, settings } = this.#setup;
    if (!link.usable || clock.now() - link.idleSince < TRUSTED_MS) return link.usable;
    return new Promise((resolve) => {
      const timer = clock.setTimeout(() => resolve(false), settings.acquireTimeoutMs / 2);
      link.redis
        .ping()
        .then(
          () => resolve(true),
          () => resolve(false),
        )
        .finally(() => timer.cancel());
    });
  }

  async #make(plan: LinkPlan, signal: AbortSignal): Promise<Held> {
    const { settings } = this.#setup;
    const generation = this.#generation;
    // In a cluster idle ones that lead elsewhere count too.
    if (this.#idle.length + this.#inUse.size >= settings.maxConnections) this.#idle.shift()?.link.destroy();
    const link = await openLink(this.#linkSetup(plan), AbortSignal.any([signal, this.#closing.signal]));
    const id = await link.redis.client("ID").catch(() => 0);
    const held = { plan, link, id, generation, blocking: undefined, owner: undefined, cutOff: undefined };
    this.#inUse.add(held);
    return held;
  }

  #linkSetup(plan: LinkPlan): LinkSetup {
    const { resource, clock, settings } = this.#setup;
    return {
      resource,
      clock,
      plan,
      timeoutMs: settings.connectTimeoutMs,
      events: { lost: (link, unanswered) => this.#lost(link, unanswered) },
    };
  }

  #lost(link: Link, unanswered: readonly Command[]): void {
    const at = this.#idle.findIndex((held) => held.link === link);
    if (at >= 0) this.#idle.splice(at, 1);
    rejectUnknown(this.#setup.resource, unanswered, link.error);
  }

  #give(held: Held, sound: boolean): void {
    this.#inUse.delete(held);
    const isCurrent = held.generation === this.#generation && !this.#closing.signal.aborted;
    if (!isCurrent || !sound || !held.link.usable || held.link.unanswered > 0) return held.link.destroy();
    held.link.idleSince = this.#setup.clock.now();
    this.#idle.push(held);
    this.#armReaper();
  }

  #armReaper(): void {
    const { clock, settings } = this.#setup;
    const eldest = this.#idle[0];
    if (eldest === undefined || this.#reaper !== undefined) return;
    const waitMs = Math.max(1, eldest.link.idleSince + settings.idleConnectionTimeoutMs - clock.now());
    this.#reaper = clock.setTimeout(() => this.#reap(), waitMs, { unref: true });
  }

  #reap(): void {
    const { clock, settings } = this.#setup;
    const until = clock.now() - settings.idleConnectionTimeoutMs;
    this.#reaper = undefined;
    while (this.#idle[0] !== undefined && this.#idle[0].link.idleSince <= until) void this.#idle.shift()?.link.quit();
    this.#armReaper();
  }

  /** Ends the waiting of blocking commands, or of those of `owner`: they answer as if their time had run out, and lose nothing. */
  async unblock(owner?: object): Promise<void> {
    const waiting = [...this.#inUse].filter(
      (held) => held.id !== 0 && held.link.unanswered > 0 && (owner === undefined || held.owner === owner),
    );
    await Promise.all(waiting.map((held) => this.#unblock(held).catch(() => {})));
  }

  /** Ends the waiting of `owner`, as {@link unblock} does, where the server answers in time. */
  async release(owner: object): Promise<void> {
    const { clock, settings } = this.#setup;
    const abort = new AbortController();
    await withTimeout(clock, settings.connectTimeoutMs, () => this.unblock(owner), { abort }).catch(() => {});
  }

  async #unblock({ plan, id, blocking }: Held): Promise<void> {
    const { clock } = this.#setup;
    const { signal } = this.#ending;
    const link = await openLink(this.#linkSetup(plan), signal);
    // What came in the same moment is on its way to us, and exists nowhere else any more.
    const over = Promise.resolve(blocking).then(
      () => true,
      () => true,
    );
    const pause = async (): Promise<boolean> => clock.sleep(UNBLOCK_AGAIN_MS, signal).then(() => false);
    const force = (): void => link.destroy();
    signal.addEventListener("abort", force, { once: true });
    try {
      // The command may still be on its way to the server, where there is nothing to end yet.
      while ((await link.redis.client("UNBLOCK", id)) === 0) if (await Promise.race([over, pause()])) break;
    } finally {
      signal.removeEventListener("abort", force);
      link.destroy();
    }
    await over;
  }

  /** Waits until none is lent any more, and ends the waiting of blocking commands. */
  async settle(): Promise<void> {
    void this.unblock();
    await this.guard.idle();
  }

  /** Idle ones end now, lent ones when they are given back. */
  renew(): void {
    this.#generation++;
    for (const { link } of this.#idle.splice(0)) void link.quit();
  }

  /** Lends no more. Those that are lent have until {@link end}. */
  close(reason: StewardError): void {
    this.#closing.abort(reason);
    this.guard.rejectPending(reason);
    this.#reaper?.cancel();
    this.#reaper = undefined;
    for (const { link } of this.#idle.splice(0)) link.destroy();
  }

  /** Takes back those that are still lent. */
  end(): void {
    this.#ending.abort();
    const why = "the stop took back a connection before the function that it was lent to had ended";
    for (const held of this.#inUse) cutOff(held, outcomeUnknown(this.#setup.resource, why));
  }
}

function cutOff({ link, cutOff }: Held, reason: unknown): void {
  link.destroy();
  cutOff?.(reason);
}
