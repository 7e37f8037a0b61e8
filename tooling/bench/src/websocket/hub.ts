import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Child, estimate, ratios, type Row, row } from "@steward/harness";
import type { Settings } from "../settings.ts";

const area = "websocket";
const SOCKETS = 10_000;
const WARM_UP = 6;
const MEMORY_ROUNDS = 3;
const KINDS = ["raw", "managed"] as const;

const child = ({ node }: Settings, script: string, args: readonly string[]): Child =>
  new Child({ node }, join(import.meta.dirname, script), args);

/** A hub with 10,000 sockets: a broadcast beside a loop that writes a frame made once, and memory beside plain `ws`. */
export async function hubRows(settings: Settings): Promise<Row[]> {
  return [...(await broadcastRows(settings)), await memoryRow(settings)];
}

async function broadcastRows(settings: Settings): Promise<Row[]> {
  settings.say(`broadcasts to ${SOCKETS}`);
  await using server = child(settings, "server.js", ["managed"]);
  await using clients = child(settings, "clients.js", [await server.line(), String(SOCKETS)]);
  await clients.line();
  const series = {
    raw: { cpuMs: [] as number[], ms: [] as number[] },
    managed: { cpuMs: [] as number[], ms: [] as number[] },
  };
  for (let round = 0; round < WARM_UP + 2 * settings.rounds; round++) {
    for (const kind of round % 2 === 0 ? KINDS : [...KINDS].reverse()) {
      const { cpuMs = NaN, ms = NaN } = await server.ask(kind);
      if (round >= WARM_UP) {
        series[kind].cpuMs.push(cpuMs);
        series[kind].ms.push(ms);
      }
      await sleep(400); // the clients take what they were sent
    }
  }
  return (["cpuMs", "ms"] as const).map((what) => {
    const [raw, managed] = [series.raw[what], series.managed[what]];
    return row({
      area,
      work: `broadcast to ${SOCKETS} sockets`,
      unit: what === "ms" ? "ms" : "ms CPU",
      limit: { name: "one frame by hand", figure: estimate(raw) },
      ours: estimate(managed),
      ratio: { of: "ours / limit", figure: ratios(managed, raw) },
      bar: "<= 1.1",
    });
  });
}

async function memoryRow(settings: Settings): Promise<Row> {
  const [raw, managed]: [number[], number[]] = [[], []];
  for (let round = 0; round < MEMORY_ROUNDS; round++) {
    settings.say(`memory of ${SOCKETS} idle sockets, round ${round + 1} of ${MEMORY_ROUNDS}`);
    raw.push(await idleBytes(settings, "raw"));
    managed.push(await idleBytes(settings, "managed"));
  }
  return row({
    area,
    work: "RSS of an idle socket",
    unit: "bytes",
    limit: { name: "plain ws", figure: estimate(raw) },
    ours: estimate(managed),
    ratio: { of: "ours / limit", figure: ratios(managed, raw) },
    bar: "<= 1.15",
  });
}

/** Growth of the server's RSS for each socket that does nothing. */
async function idleBytes(settings: Settings, kind: string): Promise<number> {
  await using server = child(settings, "server.js", [kind]);
  const port = await server.line();
  const { rss: before = NaN } = await server.ask("memory");
  await using clients = child(settings, "clients.js", [port, String(SOCKETS)]);
  await clients.line();
  await sleep(1_000);
  const { rss = NaN, sockets = NaN } = await server.ask("memory");
  if (sockets !== SOCKETS)
    throw new Error(`${sockets} sockets instead of ${SOCKETS}: is the limit of open files high enough?`);
  return (rss - before) / SOCKETS;
}
