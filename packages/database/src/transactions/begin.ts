import { StewardError, type CallOptions } from "@steward/core";
import { assertShape, callRules, flag, oneOf, recordOf, shape, text, type RulesOf } from "@steward/core/driver";
import type { PostgresJsDatabase } from "drizzle-orm/postgres-js";
import type { TransactionSql } from "postgres";
import type { Lease } from "../client/lease.ts";
import { Scope } from "../client/scope.ts";
import { markTransaction, seamOf } from "../client/seam.ts";
import type { Schema } from "../options.ts";
import { beginStatement, settingsStatement, type TransactionSettings } from "./isolation.ts";

/** How an open transaction ends. */
export interface TransactionEnd extends AsyncDisposable {
  /**
   * Makes its changes last.
   * @throws {DATABASE_TRANSACTION_ABORTED} when a statement had failed, so that the server rolled back instead.
   */
  commit(): Promise<void>;
  /** Undoes its changes. Does nothing once it has ended. */
  rollback(): Promise<void>;
}

/** A drizzle database inside one open transaction. `transaction(...)` of it is a savepoint; `$client` is its raw client. */
export type OpenTransaction<TSchema extends Schema> = PostgresJsDatabase<TSchema> & {
  readonly $client: TransactionSql;
} & TransactionEnd;

/** Settings of a transaction, and of the wait for its connection. */
export interface BeginOptions extends TransactionSettings, CallOptions {}

/** What the options of a transaction must be. */
export function beginRules(): RulesOf<BeginOptions> {
  return {
    ...callRules(),
    isolationLevel: oneOf("read committed", "repeatable read", "serializable"),
    accessMode: oneOf("read only", "read write"),
    deferrable: flag(),
    settings: recordOf(text(true)),
  };
}

const beginShape = shape<BeginOptions>(beginRules);

/**
 * Begins a transaction that is rolled back unless it is committed.
 *
 * @throws {OVERLOADED} when too many wait for a connection.
 * @throws {DEADLINE_EXCEEDED} when there was no connection in time.
 * @throws {DATABASE_NOT_MANAGED} when `db` is not of this package.
 *
 * @example
 * ```ts
 * import { sql } from "drizzle-orm";
 * import { begin } from "@steward/database";
 * import { testDatabase } from "@steward/database/testing";
 *
 * await using manager = await testDatabase().start();
 * await using t = await begin(manager.client);
 * await t.execute(sql`create table films (title text)`);
 * await t.commit();
 * ```
 */
export async function begin<TSchema extends Schema>(
  db: PostgresJsDatabase<TSchema>,
  options: BeginOptions = {},
): Promise<OpenTransaction<TSchema>> {
  return (await beginLeased(db, options)).open;
}

/** The same, with the lease that it runs on. */
export async function beginLeased<TSchema extends Schema>(
  db: PostgresJsDatabase<TSchema>,
  options: BeginOptions,
): Promise<{ readonly open: OpenTransaction<TSchema>; readonly lease: Lease }> {
  const seam = seamOf(db);
  assertShape(`${seam.name}: begin`, beginShape, options);
  const lease = await seam.acquire(options);
  const scope = new Scope(lease, seam.builder);
  try {
    await scope.turn(beginStatement(options));
    const settings = settingsStatement(options);
    if (settings !== undefined) await scope.run(settings);
  } catch (error) {
    // It may have begun, with settings that the server does not take.
    await scope.undo().catch(() => {});
    await lease.close();
    throw error;
  }
  const ending = new Ending(seam.name, lease, scope);
  const end: TransactionEnd = {
    commit: () => ending.commit(),
    rollback: () => ending.rollback(),
    [Symbol.asyncDispose]: () => ending.rollback(),
  };
  const made = Object.assign(seam.over(scope.drizzleClient()), end, { $client: scope.sql() });
  markTransaction(made);
  return { open: made as OpenTransaction<TSchema>, lease }; // `over` keeps the tables of `db`
}

/** Ends a transaction once, however often that is asked for. */
class Ending {
  readonly #name: string;
  readonly #lease: Lease;
  readonly #scope: Scope;
  #ended: Promise<void> | undefined;

  constructor(name: string, lease: Lease, scope: Scope) {
    this.#name = name;
    this.#lease = lease;
    this.#scope = scope;
  }

  commit(): Promise<void> {
    const ended = this.#ended;
    if (ended !== undefined) return Promise.reject(this.#over());
    return (this.#ended = this.#commit());
  }

  async #commit(): Promise<void> {
    const result = await this.#finish("commit");
    if (result === "COMMIT") return;
    const message = `${this.#name}: the transaction was rolled back, because a statement of it had failed`;
    throw new StewardError("DATABASE_TRANSACTION_ABORTED", message, {
      resource: this.#name,
      cause: this.#scope.failure,
    });
  }

  #over(): StewardError {
    return new StewardError("DATABASE_LEASE_ENDED", `${this.#name}: this transaction has ended already`, {
      resource: this.#name,
    });
  }

  rollback(): Promise<void> {
    // A broken connection has rolled back by itself.
    this.#ended ??= this.#finish("rollback").then(
      () => {},
      () => {},
    );
    return this.#ended.catch(() => {});
  }

  async #finish(statement: "commit" | "rollback"): Promise<string> {
    try {
      const result = await (statement === "commit" ? this.#scope.turn(statement) : this.#scope.undo());
      return (result as { readonly command?: string }).command ?? ""; // what every statement gives
    } finally {
      await this.#lease.close();
    }
  }
}
