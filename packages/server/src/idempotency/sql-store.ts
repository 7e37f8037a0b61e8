import type { IdempotencyStore, SqlRunner } from "@steward/core";
import { assertShape, recognised, required, shape, tablesOnce, withMethods, type Shape } from "@steward/core/driver";
import { answerText, entryOf } from "./stored-answer.ts";

/** How {@link sqlIdempotency} is made. */
export interface SqlIdempotencyOptions {
  /** Runs the statements: the port of the database resource. */
  readonly sql: SqlRunner;
  /** Table for the answers, made where it does not exist. Default `steward_idempotency`. */
  readonly table?: string;
}

const TABLE = /^[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?$/;

const sqlShape: Shape<SqlIdempotencyOptions> = shape<SqlIdempotencyOptions>(() => ({
  sql: required(withMethods("the port of a database resource", "query")),
  table: recognised((value) => typeof value === "string" && TABLE.test(value), "a plain name of a table"),
}));

/** Rows that are over and go with each new one: more than one, so that the table does not grow. */
const SWEPT = 10;

interface Row extends Record<string, unknown> {
  readonly fingerprint: string;
  readonly answer: string | null;
}

/**
 * Keeps answers in a table of Postgres, one row each. Rows that are over go with those that come.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function sqlIdempotency(options: SqlIdempotencyOptions): IdempotencyStore {
  assertShape("sqlIdempotency", sqlShape, options);
  return new SqlStore(options.sql, options.table ?? "steward_idempotency");
}

class SqlStore implements IdempotencyStore {
  readonly #sql: SqlRunner;
  readonly #table: string;
  readonly #ready: () => Promise<void>;

  constructor(sql: SqlRunner, table: string) {
    this.#sql = sql;
    this.#table = table;
    const index = table.replaceAll(".", "_");
    this.#ready = tablesOnce(sql, [
      `create table if not exists ${table} (key text primary key, owner text not null, fingerprint text not null, answer text, expires_at timestamptz not null)`,
      `create index if not exists ${index}_expires_at on ${table} (expires_at)`,
    ]);
  }

  begin: IdempotencyStore["begin"] = async (key, { owner, fingerprint, lockMs }) => {
    await this.#ready();
    const table = this.#table;
    await this.#sql.query(
      `delete from ${table} where key in (select key from ${table} where expires_at < now() order by expires_at limit ${SWEPT} for update skip locked)`,
    );
    for (;;) {
      const taken = await this.#sql.query(
        `insert into ${table} as held (key, owner, fingerprint, expires_at) values ($1, $2, $3, ${after("$4")})
         on conflict (key) do update set owner = excluded.owner, fingerprint = excluded.fingerprint, answer = null, expires_at = excluded.expires_at
         where held.expires_at < now() returning key`,
        [key, owner, fingerprint, String(lockMs)],
      );
      if (taken.length > 0) return undefined;
      const [row] = await this.#sql.query<Row>(`select fingerprint, answer from ${table} where key = $1`, [key]);
      if (row !== undefined) return entryOf(row.fingerprint, row.answer); // else it was given up in between
    }
  };

  finish: IdempotencyStore["finish"] = async (key, owner, answer, ttlMs) => {
    await this.#sql.query(
      `update ${this.#table} set answer = $3, expires_at = ${after("$4")} where key = $1 and owner = $2`,
      [key, owner, answerText(answer), String(ttlMs)],
    );
  };

  release: IdempotencyStore["release"] = async (key, owner) => {
    await this.#sql.query(`delete from ${this.#table} where key = $1 and owner = $2 and answer is null`, [key, owner]);
  };
}

/** The moment so many ms from now. */
function after(parameter: string): string {
  return `now() + ${parameter}::text::double precision * interval '1 millisecond'`;
}
