import {
  currentContext,
  Guard,
  isStewardError,
  StewardError,
  type CallAbout,
  type CallOptions,
  type Clock,
  type Timer,
} from "@steward/core";
import type { Line, Revocable, Taker } from "../connections/line.ts";
import { publishLeak } from "../connections/events.ts";
import { ConnectionUse, type Source } from "./work.ts";

/** Times of leases. 0 switches one off. */
export interface LeaseOptions {
  readonly clock: Clock;
  /** Deadline of each statement. */
  readonly timeoutMs: number;
  readonly transactionTimeoutMs: number;
  readonly leakThresholdMs: number;
  /** Leases that are held for longer than `leakThresholdMs` now. */
  readonly overdue: OverdueLeases;
}

/** How many leases are held for too long now. */
export interface OverdueLeases {
  count: number;
}

/** Statements of one lease that may wait for one another. */
const MAX_PENDING = 10_000;

/** How long the rollback of one that was ended may take, in ms. */
const ROLLBACK_MS = 1_000;

/**
 * One connection for one user, for as long as it takes: a reservation or a transaction. Statements run one after the
 * other, each with its own deadline.
 */
export class Lease implements Source, Revocable {
  readonly name: string;
  readonly guard: Guard;
  readonly trouble = undefined;
  readonly traceComments: boolean;
  readonly #clock: Clock;
  readonly #connection: Line;
  readonly #end: () => void;
  readonly #leakTimer: Timer | undefined;
  readonly #overdue: OverdueLeases;
  #isOverdue = false;
  #ended: StewardError | undefined;
  /** It was ended from outside, for this reason. */
  #revoked: { readonly reason: unknown } | undefined;
  /** Ends the work that it was taken for. */
  #cutOff: ((reason: unknown) => void) | undefined;
  /** The last one to run here. */
  #runs: Taker | undefined;

  constructor(source: Source, connection: Line, options: LeaseOptions, stack: string, end: () => void) {
    const { clock, timeoutMs, leakThresholdMs } = options;
    this.#overdue = options.overdue;
    this.name = source.name;
    this.traceComments = source.traceComments;
    this.#clock = clock;
    this.#connection = connection;
    this.#end = end;
    connection.lease = this;
    this.guard = new Guard({
      resource: this.name,
      clock,
      maxConcurrent: 1,
      maxPending: MAX_PENDING,
      timeoutMs: timeoutMs === 0 ? undefined : timeoutMs,
      holdUntilSettled: true,
      evidence: source.guard,
      refusal: () => this.#refusal(),
    });
    if (leakThresholdMs === 0) return;
    const report = (): void => {
      this.#isOverdue = true;
      this.#overdue.count++;
      publishLeak({ resource: this.name, heldMs: leakThresholdMs, stack });
    };
    this.#leakTimer = clock.setTimeout(report, leakThresholdMs, { unref: true });
  }

  /** True until it is released or ended. */
  get open(): boolean {
    return this.#ended === undefined && !this.#connection.dead;
  }

  take(taker: Taker): void {
    this.#runs = taker;
    taker.take(this.#connection);
  }

  leave(): boolean {
    return false;
  }

  /** A statement ended; the connection stays here. */
  release(): void {}

  #refusal(): StewardError | undefined {
    if (this.#ended !== undefined) return this.#ended;
    return this.#connection.dead ? this.#error("its connection broke") : undefined;
  }

  #error(why: string, cause?: unknown): StewardError {
    return new StewardError("DATABASE_LEASE_ENDED", `${this.name}: this transaction or reservation has ended: ${why}`, {
      resource: this.name,
      cause,
    });
  }

  #forgetLeak(): void {
    this.#leakTimer?.cancel();
    if (this.#isOverdue) this.#overdue.count--;
    this.#isOverdue = false;
  }

  /** Gives the connection back once the last statement has ended. Any further one is refused. */
  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    this.#ended = this.#error("it was released");
    this.#forgetLeak();
    await this.#giveBack();
  }

  async #giveBack(): Promise<void> {
    await this.guard.idle();
    await this.#connection.settled;
    if (this.#revoked !== undefined && !this.#connection.dead) await this.#rollBack(this.#connection);
    this.#connection.lease = undefined;
    this.#end();
  }

  /** Where the server does not do it in time, the connection is cut off. */
  async #rollBack(line: Line): Promise<void> {
    if (line.query === undefined) return line.destroy(); // which rolls back before its pool gets it
    const timer = this.#clock.setTimeout(() => line.destroy(this.#ended), ROLLBACK_MS, { unref: true });
    await line.query("rollback").catch(() => line.destroy(this.#ended));
    timer.cancel();
  }

  /** Does the work that it was taken for; rejects when it is ended from outside, whatever becomes of that work. */
  run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#revoked !== undefined) return Promise.reject(this.#revoked.reason);
    return Promise.race([work(), new Promise<never>((_, reject) => (this.#cutOff = reject))]);
  }

  /** In what state its connection is, is not known: it is cut off, so that the server rolls back, and no other user gets it. */
  discard(reason: unknown): void {
    if (this.#revoked === undefined)
      this.#connection.destroy(this.#error("whether its transaction has begun or ended is not known", reason));
  }

  /** Ends it without its connection. What ran there says more, so its user hears that first. */
  broke(): void {
    const end = (): void => this.revoke(this.#error("its connection broke"));
    void this.guard.idle().then(() => setImmediate(end));
  }

  /** Ends it from outside: what runs is cancelled at the server, and what was begun is rolled back there. */
  revoke(reason: unknown): void {
    if (this.#ended !== undefined) return;
    const why = reason instanceof Error ? reason.message : String(reason);
    this.#ended = isStewardError(reason, "DATABASE_LEASE_ENDED") ? reason : this.#error(why, reason);
    this.#revoked = { reason };
    this.#forgetLeak();
    this.#cutOff?.(reason);
    this.guard.rejectPending(this.#ended);
    const error = isStewardError(reason, "RESOURCE_UNAVAILABLE") ? reason : this.#ended;
    // What is given up for the same reason says so itself, in this turn.
    queueMicrotask(() => this.#connection.busy && this.#runs?.interrupt?.(error));
    void this.#giveBack();
  }
}

/** Somebody who asked for a lease. */
class LeaseWork extends ConnectionUse {
  readonly exclusive = true;
  readonly #options: LeaseOptions;
  readonly #resolve: (lease: Lease) => void;
  readonly #reject: (error: unknown) => void;
  readonly #stack: string;
  /** When the time of its caller is over. */
  readonly #until = currentContext()?.deadline ?? Number.POSITIVE_INFINITY;
  #lease: Lease | undefined;

  constructor(
    source: Source,
    options: LeaseOptions,
    stack: string,
    resolve: (lease: Lease) => void,
    reject: (error: unknown) => void,
  ) {
    super(source);
    this.#options = options;
    this.#stack = stack;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override get operation(): string {
    return "lease";
  }

  /** It asks the server nothing by itself: what is done with the connection are calls of their own. */
  override about(): CallAbout {
    return { kind: "internal", attributes: {} };
  }

  override take(connection: Line): void {
    const { transactionTimeoutMs, clock } = this.#options;
    this.connection = connection;
    const longest = transactionTimeoutMs === 0 ? Number.POSITIVE_INFINITY : transactionTimeoutMs;
    this.held(Math.min(longest, this.#until - clock.now()));
    this.#lease = new Lease(this.source, connection, this.#options, this.#stack, () => this.#ended(connection));
    this.#resolve(this.#lease);
  }

  #ended(connection: Line): void {
    this.source.release(connection);
    // Also within `giveUp`, where the guard is not through with it yet.
    queueMicrotask(() => this.succeed());
  }

  protected override giveUp(error: unknown): void {
    if (this.#lease !== undefined) return this.#lease.revoke(error);
    this.#reject(this.explain(error));
    this.leave();
  }
}

/** Takes a connection out of a pool for one user. */
export function acquire(source: Source, options: LeaseOptions, call?: CallOptions): Promise<Lease> {
  const { stack = "" } = options.leakThresholdMs === 0 ? {} : new Error("acquired here");
  return new Promise((resolve, reject) => {
    source.guard.enter(new LeaseWork(source, options, stack, resolve, reject), call);
  });
}
