import type { SqlRunner } from "@steward/core";
import { assertShape, recognised, required, shape, withMethods } from "@steward/core/driver";
import { auditError } from "../../errors.ts";
import { emptyChain, linkAll, type AuditDraft, type AuditHead, type Link, type StoredEntry } from "../chain/entry.ts";
import type { AuditSink, TrimNote } from "./sink.ts";
import { createTables } from "./tables.ts";

/** How {@link sqlAudit} is made. */
export interface SqlAuditOptions {
  /** Runs the statements: the port of the database resource. */
  readonly sql: SqlRunner;
  /** Table for the entries, made where it does not exist; its chains are in `{table}_chains`. Default `steward_audit`. */
  readonly table?: string | undefined;
}

const TABLE = /^[A-Za-z_][A-Za-z0-9_]{0,54}(\.[A-Za-z_][A-Za-z0-9_]{0,54})?$/;
const PAGE = 1_000;

const SQL_AUDIT = shape<SqlAuditOptions>(() => ({
  sql: required(withMethods("the port of a database resource", "query", "transaction")),
  table: recognised((given) => typeof given === "string" && TABLE.test(given), "a plain name of a table"),
}));

interface ChainRow extends Record<string, unknown> {
  readonly chain: string;
  readonly seq: string;
  readonly hash: string;
}

interface EntryRow extends ChainRow {
  readonly entry: string;
  readonly seal: string | null;
}

/** An end of a chain that this transaction holds. */
interface Held {
  readonly head: AuditHead;
  readonly transaction: string;
}

const headOf = ({ chain, seq, hash }: ChainRow): AuditHead => ({ chain, seq: Number(seq), hash });

/**
 * Keeps entries in a table of Postgres. Each open transaction that records something holds the end of one chain; one
 * beside it takes another, so that writers do not wait for one another. A transaction that is rolled back leaves its
 * chain as it was.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function sqlAudit(options: SqlAuditOptions): AuditSink {
  assertShape("sqlAudit", SQL_AUDIT, options);
  return new SqlAudit(options.sql, options.table ?? "steward_audit");
}

class SqlAudit implements AuditSink {
  readonly kind = "sql";
  readonly #sql: SqlRunner;
  readonly #table: string;
  readonly #chains: string;

  constructor(sql: SqlRunner, table: string) {
    this.#sql = sql;
    this.#table = table;
    this.#chains = `${table}_chains`;
  }

  open(): Promise<void> {
    return createTables(this.#sql, this.#table, this.#chains);
  }

  append(drafts: readonly AuditDraft[], link: Link, within?: SqlRunner): Promise<void> {
    const work = async (sql: SqlRunner): Promise<void> => {
      const held = await this.#hold(sql);
      await this.#store(sql, held, await linkAll(drafts, held.head, link));
    };
    return within === undefined ? this.#sql.transaction(work) : work(within);
  }

  async *entries(): AsyncIterable<StoredEntry> {
    let after: readonly [chain: string, seq: string] = ["0", "0"];
    for (;;) {
      const rows = await this.#sql.query<EntryRow>(
        `select chain::text, seq::text, entry, hash, seal from ${this.#table}
         where (chain, seq) > ($1::text::bigint, $2::text::bigint) order by ${this.#table}.chain, ${this.#table}.seq limit ${PAGE}`,
        after,
      );
      for (const row of rows) yield { ...headOf(row), text: row.entry, seal: row.seal ?? undefined };
      const last = rows.at(-1);
      if (last === undefined) return;
      after = [last.chain, last.seq];
    }
  }

  async ends(): Promise<readonly AuditHead[]> {
    const rows = await this.#sql.query<ChainRow>(
      `select chain::text, seq::text, hash from ${this.#chains} where seq > 0`,
    );
    return rows.map(headOf);
  }

  async trim(beforeMs: number, note: TrimNote, link: Link): Promise<number> {
    let removed = 0;
    for (const { chain } of await this.ends())
      removed += await this.#sql.transaction((sql) => this.#trim(sql, chain, beforeMs, note, link));
    return removed;
  }

  async #trim(sql: SqlRunner, chain: string, beforeMs: number, note: TrimNote, link: Link): Promise<number> {
    const held = await this.#hold(sql, chain);
    const [old] = await sql.query<ChainRow>(
      `select chain::text, seq::text, hash from ${this.#table} where chain = $1::text::bigint and seq <
         (select coalesce(min(seq), $2::text::bigint) from ${this.#table} where chain = $1::text::bigint and time >= $3::text::bigint)
       order by ${this.#table}.seq desc limit 1`,
      [chain, String(held.head.seq + 1), String(beforeMs)],
    );
    if (old === undefined) return 0;
    await this.#store(sql, held, await linkAll([note(headOf(old))], held.head, link));
    const gone = await sql.query(
      `delete from ${this.#table} where chain = $1::text::bigint and seq <= $2::text::bigint returning 1 as one`,
      [chain, old.seq],
    );
    return gone.length;
  }

  /** The end of a chain that no one else holds until the transaction ends: a free one, a new one, or that of `chain`. */
  async #hold(sql: SqlRunner, chain?: string): Promise<Held> {
    const columns = "chain::text, seq::text, hash, txid_current()::text as transaction";
    const [free] = await sql.query<ChainRow & { transaction: string }>(
      chain === undefined
        ? `select ${columns} from ${this.#chains} order by ${this.#chains}.chain limit 1 for update skip locked`
        : `select ${columns} from ${this.#chains} where chain = $1::text::bigint for update`,
      chain === undefined ? [] : [chain],
    );
    if (free !== undefined) return { head: headOf(free), transaction: free.transaction };
    const [added] = await sql.query<ChainRow & { transaction: string }>(
      `insert into ${this.#chains} (seq, hash) values (0, $1) returning ${columns}`,
      [emptyChain("").hash],
    );
    if (added === undefined) throw new Error("the database returned no row for a new chain");
    return { head: headOf(added), transaction: added.transaction };
  }

  /** Only in the transaction that holds the end: statements of another one would let others come between. */
  async #store(sql: SqlRunner, { head, transaction }: Held, entries: readonly StoredEntry[]): Promise<void> {
    const last = entries.at(-1);
    if (last === undefined) return;
    const rows = entries.map((_, i) => `($${4 * i + 5}, $${4 * i + 6}, $${4 * i + 7}, $${4 * i + 8})`);
    const values = entries.flatMap(({ seq, text, hash, seal }) => [String(seq), text, hash, seal ?? null]);
    const stored = await sql.query(
      `with moved as (
         update ${this.#chains} set seq = $3::text::bigint, hash = $4
         where chain = $1::text::bigint and txid_current()::text = $2 returning chain)
       insert into ${this.#table} (chain, seq, entry, hash, seal)
       select moved.chain, given.seq::bigint, given.entry, given.hash, given.seal
       from moved, (values ${rows.join(", ")}) as given (seq, entry, hash, seal) returning 1 as one`,
      [head.chain, transaction, String(last.seq), last.hash, ...values],
    );
    if (stored.length === entries.length) return;
    const what = "what was given as `in` runs each statement in a transaction of its own; give the open one";
    throw auditError("AUDIT_NOT_IN_TRANSACTION", `nothing was recorded: ${what}: sqlRunner(t), not sqlRunner(db)`);
  }
}
