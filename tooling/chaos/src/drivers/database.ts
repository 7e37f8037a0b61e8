import { DatabasePoolManager } from "@steward/database";
import { startPostgres, type PostgresServer } from "@steward/launchers";
import postgres, { type Sql } from "postgres";
import { ignore, STOP_MS, TIMEOUT_MS, type ArmName, type ArmSettings, type Backend, type Client } from "./driver.ts";

const CONNECTIONS = 10;

function calls(sql: Sql): Pick<Client, "read" | "write" | "slow" | "held"> {
  return {
    read: () => sql`select 1 as x`.execute(),
    write: (id) => sql`insert into chaos_writes (id) values (${id})`.execute(),
    slow: (ms) => sql`select pg_sleep(${ms / 1_000})`.execute(),
    held: async (got) => {
      const connection = await sql.reserve();
      got();
      await connection`select 1`;
      connection.release();
    },
  };
}

function raw(url: string, arm: ArmName, { maxConnections = CONNECTIONS }: ArmSettings): Client {
  const best = {
    connect_timeout: TIMEOUT_MS / 1_000,
    max_lifetime: 60,
    keep_alive: 5,
    max_pipeline: 0,
    connection: { statement_timeout: TIMEOUT_MS },
  };
  const isTuned = arm === "raw, tuned";
  const sql = postgres(url, { max: maxConnections, onnotice: ignore, ...(isTuned ? best : {}) });
  return {
    ...calls(sql),
    // Not awaited: on a frozen server it never returns.
    end: async () => void sql.end({ timeout: 0 }).catch(ignore),
    close: () => sql.end(isTuned ? { timeout: STOP_MS / 1_000 } : {}),
    stats: () => ({}),
  };
}

async function ours(url: string, { maxConnections = CONNECTIONS, maxPending }: ArmSettings): Promise<Client> {
  const manager = new DatabasePoolManager(
    { url, maxConnections, maxPending, timeoutMs: TIMEOUT_MS, acquireTimeoutMs: TIMEOUT_MS },
    { stopTimeoutMs: STOP_MS },
  );
  const { $client: sql } = (await manager.start()).client;
  return {
    ...calls(sql),
    end: () => manager.stop({ signal: AbortSignal.timeout(100) }),
    close: () => manager.stop(),
    stats: () => manager.stats(),
  };
}

/** A client of Postgres. */
export async function databaseClient(arm: ArmName, url: string, settings: ArmSettings): Promise<Client> {
  return arm === "ours" ? ours(url, settings) : raw(url, arm, settings);
}

/** A Postgres, with a table in which writes are counted. */
export class DatabaseBackend implements Backend {
  readonly #server: PostgresServer;

  private constructor(server: PostgresServer) {
    this.#server = server;
  }

  static async launch(): Promise<DatabaseBackend> {
    const backend = new DatabaseBackend(await startPostgres({ settings: { max_connections: 200 } }));
    await backend.#ask((sql) => sql`create table chaos_writes (id text not null)`);
    return backend;
  }

  get url(): string {
    return this.#server.url;
  }

  kill = (): Promise<void> => this.#server.kill();
  restart = (): Promise<void> => this.#server.restart();
  pause = (): Promise<void> => this.#server.pause();
  resume = (): Promise<void> => this.#server.resume();
  stop = (): Promise<void> => this.#server.stop();

  readonly connect = databaseClient;

  async executions(prefix: string): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#ask(
      (sql) => sql<{ id: string; n: number }[]>`
        select id, count(*)::int as n from chaos_writes where starts_with(id, ${prefix}) group by id`,
    );
    return new Map(rows.map(({ id, n }) => [id, n]));
  }

  async #ask<T>(question: (sql: Sql) => PromiseLike<T>): Promise<T> {
    const sql = postgres(this.url, { max: 1, onnotice: ignore });
    try {
      return await question(sql);
    } finally {
      await sql.end({ timeout: 1 });
    }
  }
}
