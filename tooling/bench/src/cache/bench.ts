import { join } from "node:path";
import { measureIn, row, type Findings, type Row } from "@steward/harness";
import { startRedis } from "@steward/launchers";
import { besideRow, together, togetherTable } from "../arms/together.ts";
import type { Settings } from "../settings.ts";
import { CONTENDERS } from "./contenders.ts";

const area = "cache";
const [PROCESSES, CALLS] = [4, 250];
/** Until then all processes have started. */
const BEGIN_MS = 4_000;

/** What a hit costs, in memory and in Redis, and how often several processes load what all of them miss. */
export async function cacheBench(settings: Settings): Promise<Findings> {
  const all = await together("cache/together", settings);
  const [hit, peek, shared] = all;
  const rows: Row[] = [];
  const ours = "Steward";
  for (const rival of ["lru-cache, its fetch", "bentocache", "cacheable"])
    if (hit !== undefined)
      rows.push(besideRow(hit, { area, ours, rival, ...(rival.startsWith("lru") ? {} : { bar: ">= 1" }) }));
  if (peek !== undefined) rows.push(besideRow(peek, { area, ours, rival: "lru-cache, its get" }));
  if (shared !== undefined) {
    rows.push(besideRow(shared, { area, ours, raw: "GET and JSON.parse on the same client", bar: ">= 0.67" }));
    rows.push(besideRow(shared, { area, ours, rival: "bentocache", bar: ">= 1" }));
  }
  return { rows: [await loads(settings), ...rows], tables: [togetherTable("Hits", all)] };
}

async function loads({ node, say }: Settings): Promise<Row> {
  const found: Record<string, number> = {};
  for (const name of Object.keys(CONTENDERS)) {
    say(`${name}, ${PROCESSES} processes miss`);
    const server = await startRedis();
    const script = join(import.meta.dirname, "misses.js");
    const args = [name, server.url, "1", String(CALLS), String(Date.now() + BEGIN_MS)];
    const all = await Promise.all(Array.from({ length: PROCESSES }, () => measureIn({ node }, script, args)));
    await server.stop();
    found[name] = (all as number[]).reduce((sum, one) => sum + one, 0); // it prints one
  }
  return row({
    area,
    work: `${PROCESSES * CALLS} calls of ${PROCESSES} processes miss one key: loads`,
    unit: "loads",
    rival: { name: "bentocache", figure: found["bentocache"] ?? 0 },
    ours: found["Steward"] ?? 0,
    bar: "<= 1",
  });
}
