import { DatabasePoolManager } from "@steward/database";
import { startPostgres } from "@steward/launchers";
import { eq, sql as written } from "drizzle-orm";
import { integer, pgTable, text } from "drizzle-orm/pg-core";
import { drizzle, type PostgresJsDatabase } from "drizzle-orm/postgres-js";
import postgres, { type PendingQuery, type Row, type Sql } from "postgres";
import { lanes, type Opened } from "../arms/together.ts";

const AT_ONCE = 50;
const CONNECTIONS = 10;
const DEADLINE_MS = 2_000;

const ask = (sql: Sql): PendingQuery<Row[]> => sql`select 1 as x`;

const one = written`select 1 as x`;

const films = pgTable("films", { id: integer().primaryKey(), title: text().notNull() });

async function find(db: PostgresJsDatabase): Promise<void> {
  const [film] = await db.select().from(films).where(eq(films.id, 1));
  if (film?.title !== "Metropolis") throw new Error("it is not there");
}

/** As one would by hand: postgres.js has no deadline of its own. */
async function withDeadline(query: PendingQuery<Row[]>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      query.cancel();
      reject(new Error("too late"));
    }, DEADLINE_MS);
  });
  try {
    return await Promise.race([query, late]);
  } finally {
    clearTimeout(timer);
  }
}

// Missing from postgres.js' own types.
const oneAtATime: object = { max_pipeline: 0 };

/** Ours beside postgres.js at its defaults and one query at a time, each without and with the same deadline. */
export async function open(): Promise<Opened> {
  const server = await startPostgres();
  const { url } = server;
  const manager = new DatabasePoolManager({ url, maxConnections: CONNECTIONS, timeoutMs: DEADLINE_MS });
  const { client: db } = await manager.start();
  const { $client: ours } = db;
  const raws: Sql[] = [];
  const raw = (options: object): Sql => {
    const sql = postgres(url, { max: CONNECTIONS, onnotice: () => {}, ...options });
    raws.push(sql);
    return sql;
  };
  const [plain, single, plainTimed, singleTimed] = [raw({}), raw(oneAtATime), raw({}), raw(oneAtATime)];
  await plain`create table films (id integer primary key, title text not null)`;
  await plain`insert into films values (1, 'Metropolis')`;
  // drizzle sets its own parsers on a client that it is given.
  const theirs = drizzle(raw({}));
  return {
    groups: [
      {
        work: "database, select 1",
        runs: {
          Steward: lanes(AT_ONCE, () => ask(ours)),
          "postgres.js": lanes(AT_ONCE, () => ask(plain)),
          "postgres.js, max_pipeline 0": lanes(AT_ONCE, () => ask(single)),
          "postgres.js, same deadline": lanes(AT_ONCE, () => withDeadline(ask(plainTimed))),
          "postgres.js, max_pipeline 0, same deadline": lanes(AT_ONCE, () => withDeadline(ask(singleTimed))),
        },
      },
      {
        work: "database, drizzle select 1",
        runs: {
          Steward: lanes(AT_ONCE, () => db.execute(one)),
          "postgres.js": lanes(AT_ONCE, () => theirs.execute(one)),
        },
      },
      {
        work: "database, drizzle by key",
        runs: {
          Steward: lanes(AT_ONCE, () => find(db)),
          "postgres.js": lanes(AT_ONCE, () => find(theirs)),
        },
      },
    ],
    async [Symbol.asyncDispose]() {
      await Promise.all([manager.stop(), ...raws.map((sql) => sql.end())]);
      await server.stop();
    },
  };
}
