import { setTimeout as sleep } from "node:timers/promises";
import { container } from "@steward/container";
import { cached, input } from "@steward/core";
import { databasePool } from "@steward/database";
import { row, type Row } from "@steward/harness";
import { startPostgres } from "@steward/launchers";
import postgres from "postgres";

/** What requests of many tenants have found, each with a pool of its own. */
export interface Tenants {
  readonly tenants: number;
  readonly requests: number;
  /** Codes of those that failed. */
  readonly failures: readonly string[];
  /** Queries that ran on a connection of another tenant. */
  readonly strayed: number;
  /** Most pools that the server saw at once. */
  readonly mostPools: number;
  /** Connections that the server still saw when no tenant had asked for a while. */
  readonly left: number;
}

const MOST_POOLS = 20;
const CALLERS = 8;
const REQUESTS = 3;
const TTL_MS = 1_000;

/** Each tenant makes three requests, in a random order, over at most 20 pools. */
export async function tenantsDrill(tenants: number): Promise<Tenants> {
  await using server = await startPostgres({ settings: { max_connections: 100 } });
  const admin = postgres(server.url, { max: 1, onnotice() {} });
  const tenant = input<string>()("tenant");
  const pool = databasePool("tenantPool", {
    needs: { tenant },
    options: ({ tenant }) => ({ url: server.url, applicationName: tenant, maxConnections: 2 }),
  });
  const pools = cached(pool, { key: tenant, max: MOST_POOLS, ttlMs: TTL_MS });
  const [failures, queue]: [string[], string[]] = [[], shuffled(tenants)];
  let [strayed, mostPools] = [0, 0];
  const over = new AbortController();
  const count = async (): Promise<number> => {
    const [seen] =
      await admin`select count(distinct application_name)::int as count from pg_stat_activity where application_name like 'tenant-%'`;
    return Number(seen?.["count"]);
  };
  const watching = (async () => {
    while (!over.signal.aborted) mostPools = Math.max(mostPools, await count());
  })();
  await using running = await container([]).start();
  const ask = async (): Promise<void> => {
    for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
      const own = name;
      await running
        .scope([], { pools }, async ({ pools }) => {
          const { $client } = await pools(own);
          const [found] = await $client`select current_setting('application_name') as name`;
          if (found?.["name"] !== own) strayed++;
        })
        .catch((error: { code?: string }) => void failures.push(String(error.code ?? error)));
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, ask));
  over.abort();
  await watching;
  await sleep(TTL_MS * 3);
  const left = await count();
  await admin.end();
  return { tenants, requests: tenants * REQUESTS, failures, strayed, mostPools, left };
}

function shuffled(tenants: number): string[] {
  const all = Array.from({ length: tenants * REQUESTS }, (_, i) => ({
    name: `tenant-${i % tenants}`,
    at: Math.random(),
  }));
  return all.sort((a, b) => a.at - b.at).map(({ name }) => name);
}

/** What it had to show. */
export function tenantRows({ tenants, requests, failures, strayed, mostPools, left }: Tenants): readonly Row[] {
  const area = "tenants";
  const of = `${tenants} tenants, ${requests} requests`;
  return [
    row({ area, work: `${of}: failed`, unit: "requests", ours: failures.length, bar: "= 0" }),
    row({ area, work: `${of}: on the connection of another`, unit: "queries", ours: strayed, bar: "= 0" }),
    row({ area, work: `${of}: at once`, unit: "pools", ours: mostPools, bar: `<= ${MOST_POOLS}` }),
    row({ area, work: "left when no one asks", unit: "pools", ours: left, bar: "= 0" }),
  ];
}
