import type { SqlRunner } from "@steward/core";
import { assertShape, required, shape, withMethods, type Shape } from "@steward/core/driver";
import { after, ms, prefixRule } from "../tables.ts";
import { UserRows } from "../user-rows.ts";
import { MAX_REPLAYS, type Family, type FamilyStore, type Rotation, type Use } from "./store.ts";

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

interface Row extends Record<string, unknown> {
  readonly subject: string;
  readonly scopes: string;
  readonly counter: string;
  readonly began: string;
  readonly ends_in: string;
}

const COLUMNS = `subject, scopes, counter::text as counter, (extract(epoch from began_at) * 1000)::text as began,
  (extract(epoch from ends_at - now()) * 1000)::text as ends_in`;

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
  readonly #rows: UserRows;

  constructor(sql: SqlRunner, prefix: string) {
    const columns = `counter bigint not null default 0, replays integer not null default 0,
         rotated_at timestamptz not null default now()`;
    this.#rows = new UserRows(sql, prefix, "families", columns);
  }

  epoch: FamilyStore["epoch"] = (subject) => this.#rows.epoch(subject);

  create: FamilyStore["create"] = (family) => this.#rows.create(family);

  find: FamilyStore["find"] = async (id) => {
    const text = `select ${COLUMNS} from ${this.#rows.table} as family where id = $1 and ${this.#isLive}`;
    const [row] = await this.#rows.query<Row>(text, [id]);
    return row && familyOf(row);
  };

  list: FamilyStore["list"] = async (subject) => {
    const { table } = this.#rows;
    const text = `select id, scopes, (extract(epoch from began_at) * 1000)::text as began,
         (extract(epoch from rotated_at) * 1000)::text as used
       from ${table} as family where subject = $1 and ${this.#isLive} order by seq desc`;
    const rows = await this.#rows.query<Readonly<Record<"id" | "scopes" | "began" | "used", string>>>(text, [subject]);
    return rows.map(({ id, scopes, began, used }) => ({
      id,
      subject,
      scopes: listOf(scopes),
      beganAtMs: Math.floor(Number(began)),
      usedAtMs: Math.floor(Number(used)),
    }));
  };

  rotate: FamilyStore["rotate"] = async (id, use) => {
    return (await this.#rotated(id, use)) ?? (await this.#replayed(id, use)) ?? (await this.#ended(id));
  };

  async #rotated(id: string, { counter, agent, idleMs }: Use): Promise<Rotation | undefined> {
    const [row] = await this.#rows.query<Row>(
      `update ${this.#rows.table} as family set counter = counter + 1, rotated_at = now(), replays = 0, agent = $3,
         ends_at = least(absolute_until, ${after("$4")})
       where id = $1 and counter = $2::text::bigint and ${this.#isLive} returning ${COLUMNS}`,
      [id, String(counter), agent, String(idleMs)],
    );
    return row && { outcome: "rotated", family: familyOf(row) };
  }

  async #replayed(id: string, { counter, agent, graceMs }: Use): Promise<Rotation | undefined> {
    const [row] = await this.#rows.query<Row>(
      `update ${this.#rows.table} as family set replays = replays + 1
       where id = $1 and counter = $2::text::bigint + 1 and agent = $3 and replays < ${MAX_REPLAYS}
         and now() <= rotated_at + ${ms("$4")} and ${this.#isLive} returning ${COLUMNS}`,
      [id, String(counter), agent, String(graceMs)],
    );
    return row && { outcome: "replayed", family: familyOf(row) };
  }

  /** It is over, or two have the token: either way the row goes. */
  async #ended(id: string): Promise<Rotation> {
    const text = `delete from ${this.#rows.table} as family where id = $1 returning subject, ${this.#isLive} as live`;
    const [row] = await this.#rows.query<{ subject: string; live: boolean }>(text, [id]);
    return row?.live === true ? { outcome: "reused", subject: row.subject } : { outcome: "unknown" };
  }

  remove: FamilyStore["remove"] = (id) => this.#rows.remove(id);

  raiseEpoch: FamilyStore["raiseEpoch"] = (subject) => this.#rows.raiseEpoch(subject);

  get #isLive(): string {
    return this.#rows.isLive("family");
  }
}

function familyOf({ subject, scopes, counter, began, ends_in: endsIn }: Row): Family {
  const beganAtMs = Math.floor(Number(began));
  return { subject, scopes: listOf(scopes), counter: Number(counter), beganAtMs, endsInMs: Number(endsIn) };
}

function listOf(scopes: string): readonly string[] {
  return scopes === "" ? [] : scopes.split(" ");
}
