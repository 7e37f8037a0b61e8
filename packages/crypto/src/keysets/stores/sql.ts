import type { PubSub, SqlRunner } from "@steward/core";
import { assertShape, required, shape, tablesOnce, text, withMethods } from "@steward/core/driver";
import { cryptoError } from "../../errors.ts";
import type { KeyStore } from "./store.ts";

/** How {@link sqlStore} is made. */
export interface SqlStoreOptions {
  /** Runs the statements: the port of the database resource. */
  readonly sql: SqlRunner;
  /** Table for the keysets, made where it does not exist. Default `steward_keysets`. */
  readonly table?: string | undefined;
  /** Notifies other instances at once; without it they learn at their next look. */
  readonly pubSub?: PubSub | undefined;
}

interface Row extends Record<string, unknown> {
  readonly revision: string;
  readonly blob: string;
}

const TABLE = /^[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?$/;

const SQL_STORE = shape<SqlStoreOptions>(() => ({
  sql: required(withMethods("the port of a database resource", "query")),
  table: text(),
  pubSub: withMethods("a PubSub", "publish", "subscribe"),
}));

/**
 * Keeps keysets in a table of Postgres, one row each.
 * @throws {OPTIONS_INVALID} when an option is unknown or of a wrong type.
 * @throws {CRYPTO_STORE_INVALID} when the table is not a plain name.
 */
export function sqlStore(options: SqlStoreOptions): KeyStore {
  assertShape("sqlStore", SQL_STORE, options);
  const { sql, table = "steward_keysets", pubSub } = options;
  if (!TABLE.test(table)) throw cryptoError("CRYPTO_STORE_INVALID", `"${table}" is not a plain name of a table`);
  const prepared = tablesOnce(sql, [
    `create table if not exists ${table} (name text primary key, revision bigint not null, blob text not null, changed_at timestamptz not null default now())`,
  ]);
  const topic = `steward.keysets.${table}`;
  return {
    kind: "sql",
    async load(name) {
      await prepared();
      const [row] = await sql.query<Row>(`select revision::text as revision, blob from ${table} where name = $1`, [
        name,
      ]);
      return row && { revision: Number(row.revision), blob: Buffer.from(row.blob, "base64") };
    },
    async compareAndSet(name, expected, next) {
      await prepared();
      const blob = Buffer.from(next.blob).toString("base64");
      const insert = `insert into ${table} (name, revision, blob) values ($1, $2::text::bigint, $3) on conflict (name) do nothing returning name`;
      const update = `update ${table} set revision = $2::text::bigint, blob = $3, changed_at = now() where name = $1 and revision = $4::text::bigint returning name`;
      const rows =
        expected === 0
          ? await sql.query(insert, [name, String(next.revision), blob])
          : await sql.query(update, [name, String(next.revision), blob, String(expected)]);
      if (rows.length === 0) return false;
      await pubSub?.publish(topic, name).catch(() => {}); // they look by themselves too
      return true;
    },
    ...(pubSub === undefined ? {} : { watch: (listener) => pubSub.subscribe(topic, listener) }),
  };
}
