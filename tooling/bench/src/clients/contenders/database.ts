import { DatabasePoolManager } from "@steward/database";
import { startPostgres } from "@steward/testing/servers";
import postgres, { type PendingQuery, type Row, type Sql } from "postgres";
import { DATABASE_CONNECTIONS, DEADLINE_MS, type ClientContenders, type ClientVariant } from "../contender.ts";

const ask = (sql: Sql): PendingQuery<Row[]> => sql`select 1 as x`;

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

function raw(name: string, options: object, call: (sql: Sql) => PromiseLike<unknown> = ask): ClientVariant {
  return {
    name,
    async open(url) {
      const sql = postgres(url, { max: DATABASE_CONNECTIONS, onnotice: () => {}, ...options });
      return { call: () => call(sql), end: () => sql.end() };
    },
  };
}

// Missing from postgres.js' own types.
const oneAtATime: object = { max_pipeline: 0 };

const ours: ClientVariant = {
  name: "Steward",
  async open(url) {
    const manager = new DatabasePoolManager({ url, maxConnections: DATABASE_CONNECTIONS, queryTimeoutMs: DEADLINE_MS });
    const { $client: sql } = (await manager.start()).client;
    return { call: () => ask(sql), end: () => manager.stop() };
  },
};

export const contenders: ClientContenders = {
  variants: [
    ours,
    raw("postgres.js", {}),
    raw("postgres.js, max_pipeline 0", oneAtATime),
    raw("postgres.js, same deadline", {}, (sql) => withDeadline(ask(sql))),
    raw("postgres.js, max_pipeline 0, same deadline", oneAtATime, (sql) => withDeadline(ask(sql))),
  ],
  async launch() {
    const server = await startPostgres();
    return { url: server.url, stop: () => server.stop() };
  },
};
