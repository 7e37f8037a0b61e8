import type { SqlRunner } from "@steward/core";
import { assertShape, required, shape, tablesOnce, withMethods, type Shape } from "@steward/core/driver";
import { after, heldEpoch, prefixRule } from "../tables.ts";
import type { CookieSessionStore, NewCookieSession, StoredCookieSession } from "./store.ts";

/** How {@link sqlSessions} is made. */
export interface SqlSessionsOptions {
  /** Runs the statements: the port of the database resource. */
  readonly sql: SqlRunner;
  /** Beginning of the names of the tables, which are made where they do not exist. Default `steward_auth`. */
  readonly prefix?: string | undefined;
}

const sqlShape: Shape<SqlSessionsOptions> = shape<SqlSessionsOptions>(() => ({
  sql: required(withMethods("the port of a database resource", "query", "transaction")),
  prefix: prefixRule(),
}));

/** Sessions that are over and go with each new one: more than one, so that the table does not grow. */
const SWEPT = 10;

interface Row extends Record<string, unknown> {
  readonly id: string;
  readonly subject: string;
  readonly scopes: string;
  readonly agent: string;
  readonly fields: string;
  readonly began: string;
  readonly used: string;
  readonly ends_in: string;
}

const COLUMNS = `id, subject, scopes, agent, fields::text as fields, (extract(epoch from began_at) * 1000)::text as began,
  (extract(epoch from used_at) * 1000)::text as used, (extract(epoch from ends_at - now()) * 1000)::text as ends_in`;

/**
 * Keeps cookie sessions in two tables of Postgres: one row for each, one for each user, which `sqlFamilies` has too. Time
 * is that of the server. Every change is one statement, or holds the row of its user.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function sqlSessions(options: SqlSessionsOptions): CookieSessionStore {
  assertShape("sqlSessions", sqlShape, options);
  return new SqlSessions(options.sql, options.prefix ?? "steward_auth");
}

class SqlSessions implements CookieSessionStore {
  readonly #sql: SqlRunner;
  readonly #table: string;
  readonly #epochs: string;
  readonly #ready: () => Promise<void>;

  constructor(sql: SqlRunner, prefix: string) {
    this.#sql = sql;
    this.#table = `${prefix}_sessions`;
    this.#epochs = `${prefix}_epochs`;
    const index = this.#table.replaceAll(".", "_");
    this.#ready = tablesOnce(sql, [
      `create table if not exists ${this.#epochs} (subject text primary key, epoch bigint not null)`,
      `create table if not exists ${this.#table} (id text primary key, seq bigint generated always as identity,
         subject text not null, epoch bigint not null, scopes text not null, agent text not null,
         fields jsonb not null default '{}', began_at timestamptz not null default now(),
         used_at timestamptz not null default now(), ends_at timestamptz not null, absolute_until timestamptz not null)`,
      `create index if not exists ${index}_ends_at on ${this.#table} (ends_at)`,
      `create index if not exists ${index}_subject on ${this.#table} (subject, seq)`,
    ]);
  }

  epoch: CookieSessionStore["epoch"] = async (subject) => {
    const text = `select epoch::text as epoch from ${this.#epochs} where subject = $1`;
    const [row] = await this.#query<{ epoch: string }>(text, [subject]);
    return Number(row?.epoch ?? 0);
  };

  create: CookieSessionStore["create"] = async (session) => {
    const table = this.#table;
    await this.#query(
      `delete from ${table} where id in (select id from ${table} where ends_at <= now() order by ends_at limit ${SWEPT} for update skip locked)`,
    );
    return this.#sql.transaction((sql) => this.#createIn(sql, session));
  };

  /** The row of the user is held meanwhile, so that sign-ins of one user are counted one after another. */
  async #createIn(sql: SqlRunner, session: NewCookieSession): Promise<boolean> {
    const { id, subject, scopes, userAgent, idleMs, absoluteMs, maxPerUser, replaces } = session;
    const table = this.#table;
    const epoch = await heldEpoch(sql, this.#epochs, subject);
    if (session.epoch !== undefined && Number(epoch) !== session.epoch) return false;
    await sql.query(
      `delete from ${table} where id = $3 or (subject = $1 and (ends_at <= now() or epoch < $2::text::bigint))`,
      [subject, epoch, replaces ?? ""],
    );
    await sql.query(
      `delete from ${table} where id in (select id from ${table} where subject = $1 order by seq desc offset $2::text::bigint)`,
      [subject, String(maxPerUser - 1)],
    );
    await sql.query(
      `insert into ${table} (id, subject, epoch, scopes, agent, ends_at, absolute_until)
       values ($1, $2, $3::text::bigint, $4, $5, least(${after("$6")}, ${after("$7")}), ${after("$7")})`,
      [id, subject, epoch, scopes.join(" "), userAgent, String(idleMs), String(absoluteMs)],
    );
    return true;
  }

  find: CookieSessionStore["find"] = async (id) => {
    const text = `select ${COLUMNS} from ${this.#table} as session where id = $1 and ${this.#isLive}`;
    const [row] = await this.#query<Row>(text, [id]);
    return row && sessionOf(row);
  };

  touch: CookieSessionStore["touch"] = async (id, idleMs) => {
    await this.#query(
      `update ${this.#table} as session set used_at = now(), ends_at = least(absolute_until, ${after("$2")})
       where id = $1 and ${this.#isLive}`,
      [id, String(idleMs)],
    );
  };

  write: CookieSessionStore["write"] = async (id, changes) => {
    const rows = await this.#query(
      `update ${this.#table} as session set fields = jsonb_strip_nulls(fields || $2::text::jsonb)
       where id = $1 and ${this.#isLive} returning id`,
      [id, JSON.stringify(changes)],
    );
    return rows.length > 0;
  };

  list: CookieSessionStore["list"] = async (subject) => {
    const text = `select ${COLUMNS} from ${this.#table} as session where subject = $1 and ${this.#isLive} order by seq desc`;
    return (await this.#query<Row>(text, [subject])).map(sessionOf);
  };

  remove: CookieSessionStore["remove"] = async (id) => {
    await this.#query(`delete from ${this.#table} where id = $1`, [id]);
  };

  raiseEpoch: CookieSessionStore["raiseEpoch"] = async (subject) => {
    await this.#query(
      `insert into ${this.#epochs} as held (subject, epoch) values ($1, 1)
       on conflict (subject) do update set epoch = held.epoch + 1`,
      [subject],
    );
  };

  #query: SqlRunner["query"] = async (text, parameters) => {
    await this.#ready();
    return this.#sql.query(text, parameters);
  };

  get #isLive(): string {
    return `ends_at > now() and epoch = coalesce((select held.epoch from ${this.#epochs} as held where held.subject = session.subject), 0)`;
  }
}

function sessionOf({ id, subject, scopes, agent, fields, began, used, ends_in: endsIn }: Row): StoredCookieSession {
  return {
    id,
    subject,
    scopes: scopes === "" ? [] : scopes.split(" "),
    userAgent: agent,
    beganAtMs: Math.floor(Number(began)),
    usedAtMs: Math.floor(Number(used)),
    endsInMs: Number(endsIn),
    fields: JSON.parse(fields) as Record<string, string>, // we have written it
  };
}
