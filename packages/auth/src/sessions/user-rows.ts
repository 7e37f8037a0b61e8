import type { SqlRunner } from "@steward/core";
import { tablesOnce } from "@steward/core/driver";
import type { NewCookieSession } from "./cookies/store.ts";
import type { NewFamily } from "./refresh/store.ts";
import { after, SWEPT } from "./tables.ts";

/** What each row has, whatever else its table holds. */
export type NewUserRow = NewFamily & Pick<NewCookieSession, "replaces">;

/**
 * A table of what belongs to users and ends (families of refresh tokens, sessions of cookies), and the table of their
 * epochs, which all such tables of one prefix share. In a later epoch the rows of a user have ended.
 */
export class UserRows {
  readonly table: string;
  readonly #sql: SqlRunner;
  readonly #epochs: string;
  readonly #ready: () => Promise<void>;

  /** @param columns The definitions of the columns that this table has besides those of all. */
  constructor(sql: SqlRunner, prefix: string, name: string, columns: string) {
    this.table = `${prefix}_${name}`;
    this.#sql = sql;
    this.#epochs = `${prefix}_epochs`;
    const index = this.table.replaceAll(".", "_");
    this.#ready = tablesOnce(sql, [
      `create table if not exists ${this.#epochs} (subject text primary key, epoch bigint not null)`,
      `create table if not exists ${this.table} (id text primary key, seq bigint generated always as identity,
         subject text not null, epoch bigint not null, scopes text not null, agent text not null, ${columns},
         began_at timestamptz not null default now(), ends_at timestamptz not null, absolute_until timestamptz not null)`,
      `create index if not exists ${index}_ends_at on ${this.table} (ends_at)`,
      `create index if not exists ${index}_subject on ${this.table} (subject, seq)`,
    ]);
  }

  /** Runs a statement when the tables are there. */
  query: SqlRunner["query"] = async (text, parameters) => {
    await this.#ready();
    return this.#sql.query(text, parameters);
  };

  /** A condition: the row, which the statement calls `of`, has not ended. */
  isLive(of: string): string {
    return `ends_at > now() and epoch = coalesce((select held.epoch from ${this.#epochs} as held where held.subject = ${of}.subject), 0)`;
  }

  async epoch(subject: string): Promise<number> {
    const text = `select epoch::text as epoch from ${this.#epochs} where subject = $1`;
    const [row] = await this.query<{ epoch: string }>(text, [subject]);
    return Number(row?.epoch ?? 0);
  }

  async raiseEpoch(subject: string): Promise<void> {
    await this.query(
      `insert into ${this.#epochs} as held (subject, epoch) values ($1, 1)
       on conflict (subject) do update set epoch = held.epoch + 1`,
      [subject],
    );
  }

  /** `false`, and nothing is stored, where the epoch of the user is another than the given one. */
  async create(row: NewUserRow): Promise<boolean> {
    const { table } = this;
    await this.query(
      `delete from ${table} where id in (select id from ${table} where ends_at <= now() order by ends_at limit ${SWEPT} for update skip locked)`,
    );
    return this.#sql.transaction((sql) => this.#createIn(sql, row));
  }

  /** The row of the user is held meanwhile, so that sign-ins of one user are counted one after another. */
  async #createIn(sql: SqlRunner, row: NewUserRow): Promise<boolean> {
    const { id, subject, scopes, agent, idleMs, absoluteMs, maxPerUser, replaces } = row;
    const { table } = this;
    const epoch = await this.#heldEpoch(sql, subject);
    if (row.epoch !== undefined && Number(epoch) !== row.epoch) return false;
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
      [id, subject, epoch, scopes.join(" "), agent, String(idleMs), String(absoluteMs)],
    );
    return true;
  }

  /** Holds the row of a user until the end of the transaction, and gives the user's epoch. */
  async #heldEpoch(sql: SqlRunner, subject: string): Promise<string> {
    const [row] = await sql.query<{ epoch: string }>(
      `insert into ${this.#epochs} as held (subject, epoch) values ($1, 0)
       on conflict (subject) do update set epoch = held.epoch returning epoch::text as epoch`,
      [subject],
    );
    return row?.epoch ?? "0";
  }

  async remove(id: string): Promise<void> {
    await this.query(`delete from ${this.table} where id = $1`, [id]);
  }
}
