import { Guard, StewardError, type CallAbout, type CallOptions, type Clock, type Timer } from "@steward/core";
import type { Line, Taker } from "../connections/connection.ts";
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

/**
 * One connection for one user, for as long as it takes: a reservation or a transaction. Statements run one after the
 * other, each with its own deadline.
 */
export class Lease implements Source {
  readonly name: string;
  readonly guard: Guard;
  readonly trouble = undefined;
  readonly traceComments: boolean;
  readonly #connection: Line;
  readonly #end: () => void;
  readonly #leakTimer: Timer | undefined;
  readonly #overdue: OverdueLeases;
  #isOverdue = false;
  #ended: StewardError | undefined;

  constructor(source: Source, connection: Line, options: LeaseOptions, stack: string, end: () => void) {
    const { clock, timeoutMs, leakThresholdMs } = options;
    this.#overdue = options.overdue;
    this.name = source.name;
    this.traceComments = source.traceComments;
    this.#connection = connection;
    this.#end = end;
    connection.leased = true;
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
    await this.guard.idle();
    await this.#connection.settled;
    this.#connection.leased = false;
    this.#end();
  }

  /** In what state its connection is, is not known: it is cut off, so that the server rolls back, and no other user gets it. */
  discard(reason: unknown): void {
    this.#connection.destroy(this.#error("whether its transaction has begun or ended is not known", reason));
  }

  /** Ends it from outside: cuts off the connection, so that the server rolls back. */
  revoke(reason: unknown): void {
    if (this.#ended !== undefined) return;
    const why = reason instanceof Error ? reason.message : String(reason);
    this.#ended = this.#error(why, reason);
    this.#forgetLeak();
    this.guard.rejectPending(this.#ended);
    this.#connection.destroy(this.#ended);
    this.#end();
  }
}

/** Somebody who asked for a lease. */
class LeaseWork extends ConnectionUse {
  readonly exclusive = true;
  readonly #options: LeaseOptions;
  readonly #resolve: (lease: Lease) => void;
  readonly #reject: (error: unknown) => void;
  readonly #stack: string;
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
    const { transactionTimeoutMs } = this.#options;
    this.connection = connection;
    this.held(transactionTimeoutMs === 0 ? Number.POSITIVE_INFINITY : transactionTimeoutMs);
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
