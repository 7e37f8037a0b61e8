import { Guard, isStewardError, StewardError, type CallOptions } from "@steward/core";
import { notForUsers, usualVerdict, type GuardBasis, type Verdict } from "@steward/core/driver";
import type { ReservedSql, Sql, TransactionSql } from "postgres";
import type { Line, Taker } from "../connections/line.ts";
import {
  driverClient,
  driverOptions,
  isConnectionError,
  type DriverQuery,
  type Handler,
} from "../connections/driver.ts";
import type { DatabaseOptions } from "../options.ts";
import { acquire, type Lease, type LeaseOptions } from "./lease.ts";
import { Scope, type Body, type DrizzleClient } from "./scope.ts";
import { adopt, makeSql } from "./sql.ts";
import { submit, type Source } from "./work.ts";

/** Where connections come from while the database is started. */
export interface Supply {
  take(taker: Taker): void;
  leave(taker: Taker): boolean;
  release(line: Line): void;
  readonly trouble: unknown;
}

/** What else a client can do, besides queries and transactions. */
export interface SideWork {
  readonly listen: Sql["listen"];
  readonly subscribe: Sql["subscribe"];
  /** Options of the connected driver, once there are any. */
  readonly options: () => Sql["options"] | undefined;
  /** Where the server is, in the driver's words; `undefined` while it is not started. */
  readonly place: () => object | undefined;
}

/**
 * The client that users hold: postgres.js as it is, with every query, reservation and transaction passing one guard
 * on its way to the supply of the moment. It keeps its identity while supplies come and go.
 */
export class PooledClient implements Source {
  readonly name: string;
  readonly guard: Guard;
  readonly traceComments: boolean;
  /** Knows types and builds queries; it never connects. */
  readonly builder: Sql;
  readonly sql: Sql;
  supply: Supply | undefined = undefined;
  readonly #leases: LeaseOptions;

  constructor(basis: GuardBasis, options: DatabaseOptions, side: SideWork) {
    const { resource: name, clock } = basis;
    this.name = name;
    this.traceComments = options.traceComments;
    const { client, types, maxPending, acquireTimeoutMs, timeoutMs, transactionTimeoutMs, leakThresholdMs } = options;
    const { breaker } = options;
    const maxConcurrent =
      client === undefined ? options.maxConnections : Math.min(options.maxConnections, client.options.max);
    this.guard = new Guard({
      ...basis,
      maxConcurrent,
      maxPending,
      timeoutMs: timeoutMs === 0 ? undefined : timeoutMs,
      acquireTimeoutMs,
      holdUntilSettled: true,
      breaker,
      judge,
    });
    this.#leases = { clock, timeoutMs, transactionTimeoutMs, leakThresholdMs, overdue: { count: 0 } };
    this.builder = client ?? driverClient({ host: "localhost", max: 1, ...(types === undefined ? {} : { types }) });
    // Large objects begin their transaction by the client that they belong to.
    if (client === undefined) Object.assign(this.builder, { begin: this.begin });
    this.sql = this.#makeSql(side, options.maxConnections);
  }

  get trouble(): unknown {
    return this.supply?.trouble;
  }

  /** Reservations and transactions that are held for longer than `leakThresholdMs` now. */
  get overdueLeases(): number {
    return this.#leases.overdue.count;
  }

  take(taker: Taker): void {
    if (this.supply === undefined)
      taker.refuse(
        new StewardError("RESOURCE_UNAVAILABLE", `${this.name}: not started`, { resource: this.name, retryable: true }),
      );
    else this.supply.take(taker);
  }

  leave(taker: Taker): boolean {
    return this.supply?.leave(taker) ?? false;
  }

  release(line: Line): void {
    this.supply?.release(line);
  }

  /** Takes a connection for one user. */
  acquire(call?: CallOptions): Promise<Lease> {
    return acquire(this, this.#leases, call);
  }

  #handler(asText: boolean): Handler {
    return (query) => submit(this, query, asText);
  }

  #makeSql({ listen, subscribe, options, place }: SideWork, max: number): Sql {
    const { builder, reserve, begin } = this;
    const { CLOSE, END, PostgresError, largeObject } = builder;
    const refused = (verb: string) => (): Promise<never> => Promise.reject(notForUsers(this.name, verb));
    return makeSql(builder, this.#handler(false), {
      reserve,
      begin,
      listen,
      subscribe,
      CLOSE,
      END,
      PostgresError,
      largeObject,
      end: refused("end"),
      close: refused("close"),
      get options() {
        return options() ?? { ...builder.options, ...place(), max };
      },
      get parameters() {
        return driverOptions(builder)["parameters"];
      },
    });
  }

  /** As `sql.reserve()` of postgres.js: a client of one connection, until its `release()`. */
  readonly reserve = async (): Promise<ReservedSql> => {
    const lease = await this.acquire();
    let begun = false;
    const handler: Handler = (query) => {
      const [text = ""] = query.strings;
      if (BEGINS.test(text)) begun = true;
      else if (begun && ENDS.test(text)) afterAnswer(query, () => (begun = false));
      submit(lease, query, false);
    };
    const release = (): void => void (begun ? this.#rollback(lease) : lease.close());
    return makeSql(this.builder, handler, { release }) as ReservedSql; // with `release` it is one
  };

  /** The next user must not find itself in the transaction of another. */
  async #rollback(lease: Lease): Promise<void> {
    const undone = new Scope(lease, this.builder).undo().catch(() => {});
    await Promise.all([undone, lease.close()]);
  }

  /** As `sql.begin()` of postgres.js. */
  readonly begin = <T>(...args: [Body<TransactionSql, T>] | [string, Body<TransactionSql, T>]): Promise<T> => {
    const [options, body] = args.length === 1 ? ["", args[0]] : args;
    return this.#transaction(options.replace(/[^a-z ]/gi, ""), body, (scope) => scope.sql());
  };

  async #transaction<C, T>(options: string, body: Body<C, T>, client: (scope: Scope) => C): Promise<T> {
    const lease = await this.acquire();
    const scope = new Scope(lease, this.builder);
    try {
      return await lease.run(async () => {
        await scope.turn(`begin ${options}`);
        return scope.commitAfter(body, client(scope));
      });
    } finally {
      await lease.close();
    }
  }

  /** What drizzle gets for a client: its queries see dates as text. */
  drizzleClient(options: DrizzleClient["options"] = { parsers: {}, serializers: {} }): DrizzleClient {
    const handler = this.#handler(true);
    const begin = <T>(body: Body<DrizzleClient, T>): Promise<T> =>
      this.#transaction("", body, (scope) => scope.drizzleClient());
    const unsafe: Sql["unsafe"] = (...args) => adopt(this.builder.unsafe(...args), handler);
    return { options, unsafe, begin, savepoint: begin };
  }
}

/** One of its statements does, behind comments too. */
const BEGINS = /(^|;)(\s|--.*\n|\/\*((?!\*\/)[^])*\*\/)*(begin|start)\b/i;
const ENDS = /^\s*(commit|end|rollback|abort)(\s+(work|transaction))?\s*;?\s*$/i;

function afterAnswer(query: DriverQuery, then: () => void): void {
  const { resolve } = query;
  query.resolve = (value) => {
    then();
    resolve(value);
  };
}

/** A server that replies is well, and mistakes of callers say nothing of it; unless it says that there is no connection: none left, shutting down, not connected. */
function judge(error: unknown): Verdict {
  const code = error instanceof Error && error.name === "PostgresError" && "code" in error ? String(error.code) : "";
  if (code === "") return isOfCaller(error) ? "none" : usualVerdict(error);
  if (/^(08|57P|53300)/.test(code)) return "failure";
  return code.startsWith("53") ? "degraded" : "none";
}

/** A value that the driver refuses, a function that reads rows and throws, or a transaction left open. */
function isOfCaller(error: unknown): boolean {
  if (isStewardError(error)) return error.code === "DATABASE_TRANSACTION_LEFT_OPEN";
  return !isConnectionError(error);
}
