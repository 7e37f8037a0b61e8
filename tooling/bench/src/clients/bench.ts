import type { Findings } from "@steward/harness";
import { type Beside, besideRow, together, togetherTable } from "../arms/together.ts";
import type { Settings } from "../settings.ts";

type Line = Omit<Beside, "area" | "ours">;

const ROWS: Readonly<Record<string, readonly Line[]>> = {
  "http, request": [{ raw: "undici", bar: ">= 0.93" }, { raw: "undici, same deadline" }],
  "http, undici's fetch": [{ raw: "undici", bar: ">= 0.97" }],
  "http, fetch": [{ rival: "global fetch", bar: ">= 3" }],
  "database, select 1": [
    { raw: "postgres.js", bar: ">= 1.5" },
    { raw: "postgres.js, max_pipeline 0", bar: ">= 0.93" },
    { raw: "postgres.js, max_pipeline 0, same deadline" },
  ],
  "database, drizzle select 1": [{ raw: "postgres.js", bar: ">= 1.3" }],
  "database, drizzle by key": [{ raw: "postgres.js", bar: ">= 1.3" }],
  "redis, get": [{ raw: "ioredis", bar: ">= 0.9" }, { raw: "ioredis, same deadline" }],
  "redis, get, one caller": [{ raw: "ioredis", bar: ">= 0.95" }, { raw: "ioredis, same deadline" }],
  "redis, pipeline of 100": [{ raw: "ioredis", bar: ">= 0.95" }, { raw: "ioredis, same deadline" }],
};

/** What being looked after costs: CPU of a call by our clients beside the raw ones, 50 calls at once where nothing else is said. */
export async function clientsBench(settings: Settings): Promise<Findings> {
  const all = [
    ...(await together("clients/http", settings)),
    ...(await together("clients/database", settings)),
    ...(await together("clients/redis", settings)),
  ];
  const rows = all.flatMap((one) =>
    (ROWS[one.work] ?? []).map((line) => besideRow(one, { area: "clients", ours: "Steward", ...line })),
  );
  return {
    rows,
    tables: [
      togetherTable(
        "Clients, 50 calls at once where nothing else is said",
        all,
        "Ours has its deadlines in every row.",
      ),
    ],
  };
}
