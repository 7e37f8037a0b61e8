import type { SqlRunner } from "@steward/core";
import { assertShape, required, shape, tablesOnce, withMethods, type Shape } from "@steward/core/driver";
import { prefixRule, SWEPT } from "../../sessions/tables.ts";
import { USE_MS, type ApiKey, type ApiKeyStore } from "./store.ts";

/** How {@link sqlApiKeys} is made. */
export interface SqlApiKeysOptions {
  /** Runs the statements: the port of the database resource. */
  readonly sql: SqlRunner;
  /** Beginning of the name of the table, which is made where it does not exist. Default `steward_auth`. */
  readonly prefix?: string | undefined;
}

const sqlShape: Shape<SqlApiKeysOptions> = shape<SqlApiKeysOptions>(() => ({
  sql: required(withMethods("the port of a database resource", "query")),
  prefix: prefixRule(),
}));

interface Row extends Record<string, unknown> {
  readonly id: string;
  readonly hash: string;
  readonly subject: string;
  readonly scopes: string;
  readonly name: string;
  readonly created: string;
  readonly expires: string | null;
  readonly used: string | null;
  readonly due: boolean;
}

const COLUMNS = `id, hash, subject, scopes, name, ${msOf("created_at")} as created, ${msOf("expires_at")} as expires,
  ${msOf("last_used_at")} as used,
  coalesce(last_used_at <= now() - ${USE_MS} * interval '1 millisecond', true) as due`;
const IS_GOOD = "(expires_at is null or expires_at > now())";

/**
 * Keeps API keys in a table of Postgres. Time is that of the server.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function sqlApiKeys(options: SqlApiKeysOptions): ApiKeyStore {
  assertShape("sqlApiKeys", sqlShape, options);
  const { sql, prefix = "steward_auth" } = options;
  const table = `${prefix}_api_keys`;
  const ready = tablesOnce(sql, [
    `create table if not exists ${table} (id text primary key, hash text not null, subject text not null, scopes text not null,
       name text not null, created_at timestamptz not null default now(), expires_at timestamptz, last_used_at timestamptz)`,
    `create index if not exists ${table.replaceAll(".", "_")}_subject on ${table} (subject)`,
    `create index if not exists ${table.replaceAll(".", "_")}_expires_at on ${table} (expires_at)`,
  ]);
  const query: SqlRunner["query"] = async (text, parameters) => (await ready(), sql.query(text, parameters));
  return {
    async create({ id, hash, subject, scopes, name, ttlMs }) {
      await query(
        `delete from ${table} where id in (select id from ${table} where expires_at <= now() order by expires_at limit ${SWEPT} for update skip locked)`,
      );
      await query(
        `insert into ${table} (id, hash, subject, scopes, name, expires_at)
         values ($1, $2, $3, $4, $5, now() + $6::text::double precision * interval '1 millisecond')`,
        [id, hash, subject, scopes.join(" "), name, ttlMs === undefined ? null : String(ttlMs)],
      );
    },
    async find(id) {
      const [row] = await query<Row>(`select ${COLUMNS} from ${table} where id = $1 and ${IS_GOOD}`, [id]);
      return row && { key: keyOf(row), hash: row.hash, isUseDue: row.due };
    },
    async used(id) {
      await query(`update ${table} set last_used_at = now() where id = $1`, [id]);
    },
    async list(subject) {
      const text = `select ${COLUMNS} from ${table} where subject = $1 and ${IS_GOOD} order by created_at desc, id`;
      return (await query<Row>(text, [subject])).map(keyOf);
    },
    async remove(subject, id) {
      const text = `delete from ${table} where subject = $1 and id = $2 returning id`;
      return (await query(text, [subject, id])).length > 0;
    },
  };
}

function msOf(column: string): string {
  return `floor(extract(epoch from ${column}) * 1000)::text`;
}

function keyOf({ id, subject, scopes, name, created, expires, used }: Row): ApiKey {
  return {
    id,
    subject,
    scopes: scopes === "" ? [] : scopes.split(" "),
    name,
    createdAtMs: Number(created),
    expiresAtMs: expires === null ? undefined : Number(expires),
    lastUsedAtMs: used === null ? undefined : Number(used),
  };
}
