import { join } from "node:path";
import { measureIn, row, type Findings, type Row } from "@steward/harness";
import { startRedis } from "@steward/launchers";
import { besideRow, together, togetherTable } from "../arms/together.ts";
import type { Settings } from "../settings.ts";
import { CONTENDERS, PER_SECOND } from "./contenders.ts";

const area = "rate-limit";
const PROCESSES = 4;
const HAMMERED_MS = 12_000;
/** Processes see a decision some ms after Redis has made it, so a window that they measure is that much shorter. */
const JITTER_MS = 50;

/** How much of a shared budget four processes get in the worst window, and what a decision and a request cost. */
export async function rateLimitBench(settings: Settings): Promise<Findings> {
  const all = await together("rate-limit/together", settings);
  const [ours, raw, rival] = ["Steward", "GET on the same client", "rate-limiter-flexible"];
  const costs: Row[] = [];
  for (const group of all) {
    if (raw in group.us) costs.push(besideRow(group, { area, ours, raw, bar: ">= 0.71" }));
    const other = rival in group.us ? rival : "@fastify/rate-limit";
    costs.push(besideRow(group, { area, ours, rival: other, bar: ">= 1" }));
  }
  return {
    rows: [await worstWindow(settings), ...costs],
    tables: [togetherTable("Decisions, and requests by app.inject", all)],
  };
}

async function worstWindow({ node, say }: Settings): Promise<Row> {
  const worst: Record<string, number> = {};
  for (const name of Object.keys(CONTENDERS)) {
    say(`${name}, ${PROCESSES} processes for ${HAMMERED_MS / 1_000} s`);
    const server = await startRedis();
    const script = join(import.meta.dirname, "hammer.js");
    const args = [name, server.url, String(HAMMERED_MS)];
    const found = await Promise.all(Array.from({ length: PROCESSES }, () => measureIn({ node }, script, args)));
    await server.stop();
    worst[name] = mostWithin((found as number[][]).flat(), 1_000 - JITTER_MS); // it prints them
  }
  return row({
    area,
    work: `${PROCESSES} processes, ${PER_SECOND} a second: most in one second`,
    unit: "calls",
    rival: { name: "rate-limiter-flexible", figure: worst["rate-limiter-flexible"] ?? 0 },
    ours: worst["Steward"] ?? 0,
    bar: `<= ${PER_SECOND}`,
  });
}

function mostWithin(instants: readonly number[], windowMs: number): number {
  const sorted = [...instants].sort((a, b) => a - b);
  let [most, first] = [0, 0];
  for (const [last, at] of sorted.entries()) {
    while (at - (sorted[first] ?? at) >= windowMs) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
