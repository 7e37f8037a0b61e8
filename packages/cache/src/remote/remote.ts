import type { Clock, MetricSample } from "@steward/core";
import type { Trouble } from "@steward/core/container";
import type { Backing, Stored, Void, Wanted } from "../cache/backing.ts";
import { Flight } from "../cache/flight.ts";
import type { Keeper } from "../cache/keeper.ts";
import type { Loads } from "../cache/loads.ts";
import type { Invalidated, Lookup } from "../cache/types.ts";
import type { Known } from "../local/entry.ts";
import type { Marks } from "../local/marks.ts";
import type { CacheSettings, RemoteSettings } from "../options.ts";
import { ValueCodec } from "../values/codec.ts";
import { Bus, type Message } from "./bus.ts";
import type { Debts } from "./debts.ts";
import { Server } from "./server.ts";
import type { Observed, Shard } from "./shard.ts";
import { seed, Store, tagsIn, type Looked } from "./store.ts";
import { isKeyError, Voiding } from "./voiding.ts";
import { Waiters } from "./waiters.ts";

/** What a shared cache is made with. */
export interface RemoteParts {
  readonly resource: string;
  readonly clock: Clock;
  readonly settings: CacheSettings;
  readonly remote: RemoteSettings;
  readonly keeper: Keeper;
  readonly loads: Loads;
}

const [FIRST_POLL_MS, LONGEST_POLL_MS] = [50, 250];
/** A message may be so much behind the reply that shows it, in ms. */
const LATE_MESSAGE_MS = 250;
/** While messages do not arrive, this process holds values for a shorter time. */
const UNHEARD_SHARE = 0.1;

type Found = Extract<Looked, { readonly bytes: Uint8Array }>;

/** A cache that several processes share in Redis. */
export class Remote implements Backing {
  readonly #parts: RemoteParts;
  readonly #keeper: Keeper;
  readonly #server: Server;
  readonly #store: Store;
  readonly #codec: ValueCodec;
  readonly #waiters: Waiters;
  readonly #voiding: Voiding;
  readonly #debts: Debts;
  readonly #bus: Bus | undefined;

  constructor(parts: RemoteParts) {
    const { resource, clock, settings, remote, keeper } = parts;
    this.#parts = parts;
    this.#keeper = keeper;
    this.#server = new Server({ resource, clock, ...remote });
    this.#store = new Store(resource, this.#server, settings, remote, (shard, what, at) =>
      this.#observed(shard, what, at),
    );
    this.#codec = new ValueCodec(resource, settings);
    this.#waiters = new Waiters(clock);
    this.#voiding = new Voiding(parts, this.#store);
    this.#debts = this.#voiding.debts;
    this.#bus =
      remote.bus === undefined
        ? undefined
        : new Bus({
            clock,
            port: remote.bus,
            topic: this.#store.topic,
            onMessage: (message) => this.#onMessage(message),
            onLoss: (reason) => this.#drop(reason),
            beat: () => void this.#beat(),
          });
  }

  get owed(): number {
    return this.#debts.size;
  }

  get trouble(): Trouble | undefined {
    const { failure } = this.#server;
    if (failure !== undefined) return { status: "degraded", reason: `it works without Redis: ${failure}` };
    if (this.owed > 0) return { status: "degraded", reason: `${this.owed} invalidations are not sent yet` };
    if (this.#bus?.isAlive !== false) return undefined;
    return {
      status: "degraded",
      reason: "no messages of other instances arrive, so values are held for a shorter time",
    };
  }

  marksOf(key: string): Marks {
    return this.#store.shardOf(key).marks;
  }

  async obtain(flight: Flight, wanted: Wanted): Promise<Known> {
    const token = seed();
    // Where nothing is held in memory, nothing else is old either: later callers wait, and look for themselves.
    if (this.#parts.remote.localTtlMs === 0) process.nextTick(() => flight.close());
    for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(pollMs * 2, LONGEST_POLL_MS)) {
      const looked = await this.#look(flight.key, token, wanted.policy.loadTimeoutMs);
      if (looked === undefined) return this.#loadAlone(flight, wanted);
      if (looked.state !== "wait") return this.#take(flight, wanted, looked, token);
      wanted.found?.();
      this.#keeper.counts.waits++;
      const leftMs = this.#parts.settings.waitMs - looked.leaseAgeMs;
      if (leftMs <= 0) return this.#loadAlone(flight, wanted);
      await this.#waiters.wait(flight.key, Math.min(pollMs, leftMs + 1));
      if (flight.abort.signal.aborted) throw flight.abort.signal.reason;
    }
  }

  /** `undefined` when Redis cannot be asked. What is owed is sent before anything is read. */
  async #look(key: string, token?: string, loadTimeoutMs?: number): Promise<Looked | undefined> {
    try {
      if (this.#debts.size > 0) await this.#debts.pay();
      const looked = await this.#store.look(key, token, loadTimeoutMs);
      return this.#debts.size > 0 ? undefined : looked; // a server that has lost writes is cleared first
    } catch (error) {
      if (isKeyError(error)) throw error;
      if (error instanceof TypeError) this.#keeper.counts.broken++; // what came is no reply
      return undefined;
    }
  }

  async #take(
    flight: Flight,
    wanted: Wanted,
    looked: Exclude<Looked, { state: "wait" }>,
    token: string,
  ): Promise<Known> {
    const { counts } = this.#keeper;
    if (looked.state === "load" || looked.state === "miss") {
      counts.found("remote", "miss");
      return this.#load(flight, wanted, looked, token);
    }
    const known = "bytes" in looked ? await this.#decode(looked) : undefined;
    if (known === undefined || !("bytes" in looked)) {
      counts.found("remote", "miss");
      if (looked.state === "refresh") return this.#load(flight, wanted, looked, token);
      await this.#store.delete(flight.key).catch(() => {}); // no one can read it
      return this.#loadAlone(flight, wanted);
    }
    counts.found("remote", known.kind === "absent" ? "absent" : looked.state === "fresh" ? "fresh" : "stale");
    if (looked.state === "fresh") this.#keepFound(flight, known, looked);
    if (looked.state !== "refresh") {
      wanted.found?.();
      return known;
    }
    flight.hold();
    const loading = { ...wanted, isRefresh: true };
    if (wanted.waitForRefresh) return this.#load(flight, loading, looked, token).catch(() => known);
    flight.succeed(known);
    return this.#load(flight, loading, looked, token);
  }

  async #decode({ bytes }: Found): Promise<Known | undefined> {
    try {
      return await this.#codec.decode(bytes);
    } catch {
      this.#keeper.counts.broken++;
      return undefined;
    }
  }

  #keepFound(flight: Flight, known: Known, { freshMs, ageMs, tags, valueClock, bytes }: Found): void {
    const ms = Math.min(freshMs, this.#localMs());
    const how = { tags, clock: valueClock, freshMs: ms, usableMs: ms, ageMs, bytes: bytes.length };
    this.#keeper.keep(flight, known, how);
  }

  /** Loads as the one who may store it. */
  async #load(
    flight: Flight,
    { load, policy, tagsOf, isRefresh }: Wanted,
    { epoch, clock }: { readonly epoch: string; readonly clock: number },
    token: string,
  ): Promise<Known> {
    const { key } = flight;
    try {
      const loaded = await this.#parts.loads.run(flight, load, policy.loadTimeoutMs, isRefresh);
      const tags = tagsOf(loaded);
      const { known, bytes } = await this.#written(loaded);
      const isAbsent = known.kind === "absent";
      const freshMs = bytes === undefined ? 0 : this.#keeper.vary(isAbsent ? policy.absentMs : policy.ttlMs);
      const usableMs = freshMs <= 0 ? 0 : freshMs + (isAbsent ? 0 : policy.staleMs);
      const put = { token, epoch, clock, bytes: bytes ?? Buffer.alloc(0), freshMs, usableMs, tags };
      const isPut = await this.#store.put(key, put).catch(() => undefined);
      const ms = Math.min(freshMs, isPut === undefined ? this.#awayMs() : this.#localMs());
      const how = { tags, clock, freshMs: ms, usableMs: ms, bytes: bytes?.length };
      if (isPut === false || !this.#keeper.keep(flight, known, how)) this.#keeper.counts.refusedWrites++;
      return known;
    } catch (error) {
      await this.#store.giveUp(key, token, epoch).catch(() => {}); // the lease ends by itself
      throw error;
    }
  }

  /** Loads without the right to store it for others: Redis is away, or others take too long. */
  async #loadAlone(flight: Flight, { load, policy, tagsOf, isRefresh }: Wanted): Promise<Known> {
    const { clock } = flight.marks;
    const loaded = await this.#parts.loads.run(flight, load, policy.loadTimeoutMs, isRefresh);
    const { known, bytes } = await this.#written(loaded);
    const ms = Math.min(known.kind === "absent" ? policy.absentMs : policy.ttlMs, this.#awayMs());
    const how = { tags: tagsOf(known), clock, freshMs: ms, usableMs: ms, bytes: bytes?.length };
    if (!this.#keeper.keep(flight, known, how)) this.#keeper.counts.refusedWrites++;
    return known;
  }

  /** A loaded value as all others will get it, so that it has one shape wherever it comes from. */
  async #written(known: Known): Promise<{ readonly known: Known; readonly bytes: Buffer | undefined }> {
    try {
      return await this.#codec.write(known);
    } catch {
      this.#keeper.counts.unstorable++;
      return { known, bytes: undefined };
    }
  }

  async look(flight: Flight): Promise<Lookup<unknown>> {
    const looked = await this.#look(flight.key);
    const known = looked !== undefined && "bytes" in looked ? await this.#decode(looked) : undefined;
    if (looked === undefined || !("bytes" in looked) || known === undefined || known.kind === "error") {
      this.#keeper.counts.found("remote", "miss");
      return { state: "miss" };
    }
    const { ageMs } = looked;
    const state = known.kind === "absent" ? "absent" : looked.state === "fresh" ? "fresh" : "stale";
    this.#keeper.counts.found("remote", state);
    if (looked.state === "fresh") this.#keepFound(flight, known, looked);
    return { state, value: known.kind === "value" ? known.value : undefined, ageMs, level: "remote" };
  }

  async set(key: string, { value, tags, ttlMs, staleMs }: Stored, strict: boolean): Promise<Invalidated> {
    const { known, bytes } = await this.#codec.write({ kind: "value", value }).catch(async (error: unknown) => {
      await this.#voiding.void({ kind: "delete", key }, false); // the old one is none that may be given
      throw error;
    });
    const freshMs = this.#keeper.vary(ttlMs);
    const usableMs = freshMs <= 0 ? 0 : freshMs + staleMs;
    const flight = new Flight({ key, marks: this.marksOf(key), tags }); // so that what is made void meanwhile is not kept
    this.#keeper.flights.add(flight, false);
    try {
      const clock = await this.#store.set(key, bytes, freshMs, usableMs, tags);
      this.#keeper.voidKey(key, clock);
      const ms = Math.min(freshMs, this.#localMs());
      this.#keeper.keep(flight, known, { tags, clock, freshMs: ms, usableMs: ms, bytes: bytes.length });
      return { spread: true };
    } catch (error) {
      return this.#voiding.owe({ kind: "delete", key }, strict, error);
    } finally {
      this.#keeper.flights.remove(flight);
    }
  }

  void(what: Void, strict: boolean): Promise<Invalidated> {
    return this.#voiding.void(what, strict);
  }

  #onMessage({ shard: index, epoch, clock, kind, what }: Message): void {
    const shard = this.#store.shards[index];
    if (shard === undefined) return;
    if (kind === "w") return this.#waiters.wake(what);
    const heard = shard.hear(epoch, clock, kind !== "h");
    if (heard !== "known") this.#drop(heard === "gap" ? "gap" : "marks");
    if (kind === "k" || kind === "x") this.#keeper.voidKey(what, clock);
    else if (kind === "t") for (const tag of tagsIn(what)) shard.marks.voidTag(tag, clock);
    else if (kind === "a") shard.marks.voidAll(clock);
  }

  #observed(shard: Shard, what: Observed, clock: number): void {
    if (what === "lost") return this.#drop("marks");
    if (what === "back") {
      this.#drop("failover");
      if (this.#parts.remote.onFailover === "clear") this.#debts.add({ kind: "clear" });
      else shard.rewind(clock);
      return;
    }
    if (this.#bus === undefined || shard.isWaitingFor(clock)) return;
    this.#parts.clock.setTimeout(() => !shard.hasHeard(clock) && this.#drop("late"), LATE_MESSAGE_MS, { unref: true });
  }

  #drop(reason: string): void {
    this.#keeper.drop(reason);
    for (const shard of this.#store.shards) shard.caughtUp();
    this.#waiters.wakeAll();
  }

  #localMs(): number {
    const { localTtlMs } = this.#parts.remote;
    const ms = this.#bus?.isAlive === false ? localTtlMs * UNHEARD_SHARE : localTtlMs;
    return Math.min(ms, this.#keeper.vary(ms)); // it bounds how old a value may be
  }

  #awayMs(): number {
    return this.#parts.remote.localTtlMs * UNHEARD_SHARE;
  }

  async #beat(): Promise<void> {
    const [first] = this.#store.shards;
    if (first !== undefined) await this.#store.beat(first).catch(() => {}); // silence is noticed
  }

  async start(): Promise<void> {
    this.#debts.start();
    void this.#bus?.open();
    this.#server.guard.started(); // so that it is asked, whatever it answered before a stop
    await this.#server.ping().catch(() => {}); // it starts without Redis, and says so
  }

  async probe(): Promise<void> {
    await this.#server.ping().catch(() => {}); // reported as `trouble`: a cache without Redis works
  }

  async stop(): Promise<void> {
    this.#waiters.wakeAll();
    if (this.#debts.size > 0) await this.#debts.pay().catch(() => {}); // kept for the next start
    this.#debts.stop();
    await this.#bus?.close();
    this.#server.guard.stop();
  }

  *series(): Iterable<MetricSample> {}
}
