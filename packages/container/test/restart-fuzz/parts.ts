import { isStewardError } from "@steward/core";
import type { FakeClock } from "@steward/testing";
import { AsyncLocalStorage } from "node:async_hooks";

/** Bounds of the containers of the fuzz, in ms of virtual time. */
export const LIMITS = { startTimeoutMs: 6_000, drainTimeoutMs: 500, stopTimeoutMs: 10_000 };
/** Bounds of its resources. */
export const OF_RESOURCE = { startTimeoutMs: 400, drainTimeoutMs: 200, stopTimeoutMs: 300 };
/** How long a start that was aborted may take to end before it is left to itself. */
const START_GRACE_MS = 1_000;
/** The last part of the time for a stop, in which stops are forced. */
const FORCE_MS = 250;

/** A container, as far as the rules have to know it: when its stop was asked for, and how long that may take. */
export class Owner {
  readonly name: string;
  readonly #clock: FakeClock;
  stop: { readonly at: number; readonly timeoutMs: number | undefined } | undefined;

  constructor(name: string, clock: FakeClock) {
    this.name = name;
    this.#clock = clock;
  }

  /** Longest time from the call of `stop` to its end. */
  get stopsWithinMs(): number {
    return this.stop?.timeoutMs ?? LIMITS.drainTimeoutMs + LIMITS.stopTimeoutMs;
  }

  #since(ms: number): boolean {
    return this.stop !== undefined && this.#clock.now() >= this.stop.at + ms;
  }

  /** Scopes have had their time and are aborted. */
  get isPastDrain(): boolean {
    const all = this.stopsWithinMs;
    return this.#since(Math.min(LIMITS.drainTimeoutMs, (all * 2) / 3));
  }

  get isStopping(): boolean {
    return this.#since(0);
  }

  /** What is left is forced, and then left behind. */
  get isForced(): boolean {
    return this.#since(this.stopsWithinMs - FORCE_MS);
  }
}

/** What a scope, or a use of one resource, may do: use what it holds, until it ends or its time is over. */
export class Claim {
  readonly name: string;
  readonly #owner: Owner;
  readonly #clock: FakeClock;
  readonly #openedAt: number;
  readonly held = new Set<Part>();
  hasEnded = false;

  constructor(name: string, owner: Owner, clock: FakeClock) {
    this.name = name;
    this.#owner = owner;
    this.#clock = clock;
    this.#openedAt = clock.now();
  }

  /** A restart waits for it for the drain timeout, a stop for its time to drain. */
  get hadItsTime(): boolean {
    return this.#owner.isPastDrain || this.#clock.now() >= this.#openedAt + LIMITS.drainTimeoutMs;
  }

  get mayUse(): boolean {
    return !this.hasEnded && !this.hadItsTime;
  }

  hold(part: unknown): void {
    if (!(part instanceof Part)) return;
    this.held.add(part);
    part.claims.add(this);
  }

  end(): void {
    this.hasEnded = true;
    for (const part of this.held) part.claims.delete(this);
  }
}

/** The scope, or the use, that asks for what starts. */
export const claims = new AsyncLocalStorage<Claim>();

type State = "starting" | "up" | "stopping" | "gone";

/** Values of needs, sorted by what may be done with them. */
interface Taken {
  /** Held from the start to the stop. */
  readonly held: readonly Part[];
  /** Started at a call, and used at once. */
  readonly lazies: readonly (() => Promise<unknown>)[];
  /** Read, and used at once. */
  readonly holders: readonly { readonly current: unknown }[];
}

/** One instance of one resource of the fuzz: the value that others are handed. */
export class Part {
  readonly name: string;
  readonly owner: Owner;
  readonly needs: Taken;
  /** Where it belongs to a scope. */
  readonly claim: Claim | undefined;
  /** What conditions ask. */
  readonly flag: boolean;
  state: State = "starting";
  /** Those that hold it. */
  readonly parts = new Set<Part>();
  readonly claims = new Set<Claim>();
  /** What it was made for alone, by a fresh need. */
  madeFor: Part | undefined;
  readonly isOfSession: boolean;
  /** What asked for it. It belongs to that alone, or to all where it is shared. */
  readonly #askedBy = claims.getStore();
  readonly #clock: FakeClock;
  readonly #begunAt: number;
  #abortedAt: number | undefined;
  #askedAt: number | undefined;

  constructor(name: string, owner: Owner, clock: FakeClock, made: { needs: Taken; claim?: Claim; flag: boolean }) {
    this.name = name;
    this.owner = owner;
    this.needs = made.needs;
    this.claim = made.claim;
    this.flag = made.flag;
    this.#clock = clock;
    this.#begunAt = clock.now();
    this.isOfSession = name.includes("-session");
    for (const need of this.needs.held) need.parts.add(this);
  }

  startAborted(): void {
    if (this.state === "starting") this.#abortedAt = this.#clock.now();
  }

  /** Its stop is asked for. */
  askedToStop(): void {
    this.state = "stopping";
    this.#askedAt = this.#clock.now();
  }

  gone(): void {
    this.state = "gone";
    for (const need of this.needs.held) need.parts.delete(this);
  }

  /** Whether what it holds need not wait for it any more: it was given its time, or was left behind. */
  get isExcused(): boolean {
    if (this.claim?.hadItsTime === true) return true;
    if (this.#abortedAt !== undefined)
      return (
        this.owner.isStopping ||
        this.#isOver(this.#abortedAt, START_GRACE_MS) ||
        this.#isOver(this.#begunAt, LIMITS.drainTimeoutMs) || // it may be a session's own
        this.#askedBy?.hadItsTime === true
      );
    if (this.isOfSession && this.owner.isPastDrain) return true; // its session's cleanups run one after the other, in half of the time
    if (this.state === "up" && this.owner.isForced) return true; // it may be behind a cleanup of its session
    if (this.state === "up" && this.parts.size === 0) return this.#askedBy?.hadItsTime === true; // what it is for has not begun
    if (this.state === "up")
      return [...this.parts].every((part) => (part.isShortLived || part === this.madeFor) && part.isExcused);
    if (this.#askedAt === undefined) return false;
    if (this.isOfSession && this.owner.isStopping) return true; // all sessions together have half of what is left
    if (this.madeFor?.claim !== undefined && this.owner.isPastDrain) return true; // a cleanup of its scope before its own was left behind
    return this.owner.isForced || this.#isOver(this.#askedAt, OF_RESOURCE.stopTimeoutMs);
  }

  get isShortLived(): boolean {
    return this.claim !== undefined || this.isOfSession;
  }

  #isOver(since: number, ms: number): boolean {
    return this.#clock.now() >= since + ms;
  }
}

/** Sorts the values of needs; what is no instance, as the value of what is disabled, does not count. */
function taken(values: readonly unknown[]): Taken {
  return {
    held: values.filter((value) => value instanceof Part),
    lazies: values.filter((value) => typeof value === "function") as (() => Promise<unknown>)[], // lazy needs alone are functions
    holders: values.filter(isHolder),
  };
}

function isHolder(value: unknown): value is { readonly current: unknown } {
  return typeof value === "object" && value !== null && !(value instanceof Part) && "current" in value;
}

/** Everything that happened in one run, and every rule that was broken. */
export class Ledger {
  readonly clock: FakeClock;
  readonly log: string[] = [];
  readonly breaches: string[] = [];
  /** All that is up, starts or stops. */
  readonly alive = new Set<Part>();
  uses = 0;
  #made = 0;

  constructor(clock: FakeClock) {
    this.clock = clock;
  }

  note(text: string): void {
    this.log.push(`${this.clock.now()}\t${text}`);
  }

  breach(text: string): void {
    this.breaches.push(`${this.clock.now()}\t${text}`);
    this.note(`BREACH: ${text}`);
  }

  begin(name: string, owner: Owner, values: Readonly<Record<string, unknown>>, flag: boolean, fresh: string[]): Part {
    const all = Object.values(values);
    const claim = all.find((value) => value instanceof Claim);
    const needs = taken(all);
    const part = new Part(`${name}.${++this.#made}`, owner, this.clock, {
      needs,
      flag,
      ...(claim === undefined ? {} : { claim }),
    });
    for (const key of fresh) if (values[key] instanceof Part) values[key].madeFor = part;
    this.alive.add(part);
    this.note(`start ${part.name} on ${needs.held.map((need) => need.name).join()}`);
    return part;
  }

  failed(part: Part, why: string): void {
    this.note(`start of ${part.name} ${why}`);
    this.alive.delete(part);
    part.gone();
  }

  up(part: Part): void {
    this.note(`up ${part.name}`);
    part.state = "up";
  }

  /** A stop is asked for: nothing that still may use it is left. */
  stopping(part: Part): void {
    this.note(`stop ${part.name}`);
    if (part.state !== "up") this.breach(`${part.name} is stopped and is ${part.state}`);
    part.askedToStop();
    for (const other of part.parts)
      if (!other.isExcused)
        this.breach(`${part.name} stops before ${other.name}, which holds it and is ${other.state}`);
    for (const claim of part.claims)
      if (claim.mayUse) this.breach(`${part.name} stops before ${claim.name}, which uses it`);
  }

  stopped(part: Part): void {
    this.note(`stopped ${part.name}`);
    this.alive.delete(part);
    part.gone();
  }

  /** Somebody who may use a part does so: it and all that it holds are up. */
  use(part: unknown, by: string, seen: Set<Part> = new Set<Part>()): void {
    if (!(part instanceof Part) || seen.has(part)) return;
    seen.add(part);
    this.uses++;
    if (part.state !== "up") this.breach(`${by} uses ${part.name}, which is ${part.state}`);
    for (const need of part.needs.held) this.use(need, `${part.name} for ${by}`, seen);
    for (const holder of part.needs.holders) this.use(this.#read(holder), `current by ${part.name}`, seen);
  }

  #read(holder: { readonly current: unknown }): unknown {
    try {
      return holder.current;
    } catch (error) {
      if (!isStewardError(error, "RESOURCE_UNAVAILABLE")) this.breach(`current throws ${String(error)}`);
      return undefined;
    }
  }
}
