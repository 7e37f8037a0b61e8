import type { SqlRunner } from "@steward/core";
import { assertShape, required, shape, tablesOnce, withMethods, type Shape } from "@steward/core/driver";
import { after, heldEpoch, ms, prefixRule } from "../tables.ts";
import { MAX_REPLAYS, type Family, type FamilyStore, type NewFamily, type Rotation, type Use } from "./store.ts";

/** How {@link sqlFamilies} is made. */
export interface SqlFamiliesOptions {
  /** Runs the statements: the port of the database resource. */
  readonly sql: SqlRunner;
  /** Beginning of the names of the tables, which are made where they do not exist. Default `steward_auth`. */
  readonly prefix?: string | undefined;
}

const sqlShape: Shape<SqlFamiliesOptions> = shape<SqlFamiliesOptions>(() => ({
  sql: required(withMethods("the port of a database resource", "query", "transaction")),
  prefix: prefixRule(),
}));

/** Families that are over and go with each new one: more than one, so that the table does not grow. */
const SWEPT = 10;

interface Row extends Record<string, unknown> {
  readonly subject: string;
  readonly scopes: string;
  readonly counter: string;
  readonly ends_in: string;
}

const COLUMNS =
  "subject, scopes, counter::text as counter, (extract(epoch from ends_at - now()) * 1000)::text as ends_in";

/**
 * Keeps families of refresh tokens in two tables of Postgres: one row for each family, one for each user. Time is that
 * of the server. Every change is one statement, or holds the row of its user.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function sqlFamilies(options: SqlFamiliesOptions): FamilyStore {
  assertShape("sqlFamilies", sqlShape, options);
  return new SqlFamilies(options.sql, options.prefix ?? "steward_auth");
}

class SqlFamilies implements FamilyStore {
  readonly #sql: SqlRunner;
  readonly #families: string;
  readonly #epochs: string;
  readonly #ready: () => Promise<void>;

  constructor(sql: SqlRunner, prefix: string) {
    this.#sql = sql;
    this.#families = `${prefix}_families`;
    this.#epochs = `${prefix}_epochs`;
    const index = this.#families.replaceAll(".", "_");
    this.#ready = tablesOnce(sql, [
      `create table if not exists ${this.#epochs} (subject text primary key, epoch bigint not null)`,
      `create table if not exists ${this.#families} (id text primary key, seq bigint generated always as identity,
         subject text not null, epoch bigint not null, scopes text not null, agent text not null,
         counter bigint not null default 0, replays integer not null default 0, rotated_at timestamptz not null default now(),
         ends_at timestamptz not null, absolute_until timestamptz not null)`,
      `create index if not exists ${index}_ends_at on ${this.#families} (ends_at)`,
      `create index if not exists ${index}_subject on ${this.#families} (subject, seq)`,
    ]);
  }

  epoch: FamilyStore["epoch"] = async (subject) => {
    await this.#ready();
    const text = `select epoch::text as epoch from ${this.#epochs} where subject = $1`;
    const [row] = await this.#sql.query<{ epoch: string }>(text, [subject]);
    return Number(row?.epoch ?? 0);
  };

  create: FamilyStore["create"] = async (family) => {
    await this.#ready();
    const table = this.#families;
    await this.#sql.query(
      `delete from ${table} where id in (select id from ${table} where ends_at <= now() order by ends_at limit ${SWEPT} for update skip locked)`,
    );
    return this.#sql.transaction((sql) => this.#createIn(sql, family));
  };

  /** The row of the user is held meanwhile, so that sign-ins of one user are counted one after another. */
  async #createIn(sql: SqlRunner, family: NewFamily): Promise<boolean> {
    const { id, subject, scopes, agent, idleMs, absoluteMs, maxPerUser } = family;
    const table = this.#families;
    const epoch = await heldEpoch(sql, this.#epochs, subject);
    if (family.epoch !== undefined && Number(epoch) !== family.epoch) return false;
    await sql.query(`delete from ${table} where subject = $1 and (ends_at <= now() or epoch < $2::text::bigint)`, [
      subject,
      epoch,
    ]);
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

  find: FamilyStore["find"] = async (id) => {
    await this.#ready();
    const text = `select ${COLUMNS} from ${this.#families} as family where id = $1 and ${this.#isLive}`;
    const [row] = await this.#sql.query<Row>(text, [id]);
    return row && familyOf(row);
  };

  rotate: FamilyStore["rotate"] = async (id, use) => {
    await this.#ready();
    return (await this.#rotated(id, use)) ?? (await this.#replayed(id, use)) ?? (await this.#ended(id));
  };

  async #rotated(id: string, { counter, agent, idleMs }: Use): Promise<Rotation | undefined> {
    const [row] = await this.#sql.query<Row>(
      `update ${this.#families} as family set counter = counter + 1, rotated_at = now(), replays = 0, agent = $3,
         ends_at = least(absolute_until, ${after("$4")})
       where id = $1 and counter = $2::text::bigint and ${this.#isLive} returning ${COLUMNS}`,
      [id, String(counter), agent, String(idleMs)],
    );
    return row && { outcome: "rotated", family: familyOf(row) };
  }

  async #replayed(id: string, { counter, agent, graceMs }: Use): Promise<Rotation | undefined> {
    const [row] = await this.#sql.query<Row>(
      `update ${this.#families} as family set replays = replays + 1
       where id = $1 and counter = $2::text::bigint + 1 and agent = $3 and replays < ${MAX_REPLAYS}
         and now() <= rotated_at + ${ms("$4")} and ${this.#isLive} returning ${COLUMNS}`,
      [id, String(counter), agent, String(graceMs)],
    );
    return row && { outcome: "replayed", family: familyOf(row) };
  }

  /** It is over, or two have the token: either way the row goes. */
  async #ended(id: string): Promise<Rotation> {
    const text = `delete from ${this.#families} as family where id = $1 returning subject, ${this.#isLive} as live`;
    const [row] = await this.#sql.query<{ subject: string; live: boolean }>(text, [id]);
    return row?.live === true ? { outcome: "reused", subject: row.subject } : { outcome: "unknown" };
  }

  remove: FamilyStore["remove"] = async (id) => {
    await this.#ready();
    await this.#sql.query(`delete from ${this.#families} where id = $1`, [id]);
  };

  raiseEpoch: FamilyStore["raiseEpoch"] = async (subject) => {
    await this.#ready();
    await this.#sql.query(
      `insert into ${this.#epochs} as held (subject, epoch) values ($1, 1)
       on conflict (subject) do update set epoch = held.epoch + 1`,
      [subject],
    );
  };

  get #isLive(): string {
    return `ends_at > now() and epoch = coalesce((select held.epoch from ${this.#epochs} as held where held.subject = family.subject), 0)`;
  }
}

function familyOf({ subject, scopes, counter, ends_in: endsIn }: Row): Family {
  const list = scopes === "" ? [] : scopes.split(" ");
  return { subject, scopes: list, counter: Number(counter), endsInMs: Number(endsIn) };
}
