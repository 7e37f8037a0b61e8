import type { SqlRunner } from "@steward/core";
import { assertShape, required, shape, withMethods, type Shape } from "@steward/core/driver";
import { after, prefixRule } from "../tables.ts";
import { UserRows } from "../user-rows.ts";
import type { CookieSessionStore, StoredCookieSession } from "./store.ts";

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
  readonly #rows: UserRows;

  constructor(sql: SqlRunner, prefix: string) {
    const columns = `fields jsonb not null default '{}', used_at timestamptz not null default now()`;
    this.#rows = new UserRows(sql, prefix, "sessions", columns);
  }

  epoch: CookieSessionStore["epoch"] = (subject) => this.#rows.epoch(subject);

  create: CookieSessionStore["create"] = ({ userAgent, ...session }) =>
    this.#rows.create({ ...session, agent: userAgent });

  find: CookieSessionStore["find"] = async (id) => {
    const { table } = this.#rows;
    const text = `select ${COLUMNS} from ${table} as session where id = $1 and ${this.#isLive}`;
    const [row] = await this.#rows.query<Row>(text, [id]);
    return row && sessionOf(row);
  };

  touch: CookieSessionStore["touch"] = async (id, idleMs) => {
    await this.#rows.query(
      `update ${this.#rows.table} as session set used_at = now(), ends_at = least(absolute_until, ${after("$2")})
       where id = $1 and ${this.#isLive}`,
      [id, String(idleMs)],
    );
  };

  write: CookieSessionStore["write"] = async (id, changes) => {
    const rows = await this.#rows.query(
      `update ${this.#rows.table} as session set fields = jsonb_strip_nulls(fields || $2::text::jsonb)
       where id = $1 and ${this.#isLive} returning id`,
      [id, JSON.stringify(changes)],
    );
    return rows.length > 0;
  };

  list: CookieSessionStore["list"] = async (subject) => {
    const { table } = this.#rows;
    const text = `select ${COLUMNS} from ${table} as session where subject = $1 and ${this.#isLive} order by seq desc`;
    return (await this.#rows.query<Row>(text, [subject])).map(sessionOf);
  };

  remove: CookieSessionStore["remove"] = (id) => this.#rows.remove(id);

  raiseEpoch: CookieSessionStore["raiseEpoch"] = (subject) => this.#rows.raiseEpoch(subject);

  get #isLive(): string {
    return this.#rows.isLive("session");
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
