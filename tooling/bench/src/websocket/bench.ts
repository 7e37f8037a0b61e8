import { estimated, figure, spread, type Findings } from "../harness/report.ts";
import type { Settings } from "../harness/settings.ts";
import { estimate, ratios, type Estimate } from "../harness/statistics.ts";
import { Child } from "./child.ts";
import { echo } from "./echo.ts";

const SOCKETS = 10_000;
const BROADCASTS = 31;
const MEMORY_ROUNDS = 5;

/** Echo through a session beside a raw client; a hub with 10,000 sockets beside a raw server. */
export async function websocketBench({ rounds, say }: Settings): Promise<Findings> {
  say("websocket: echo");
  const figures = await echo(Math.max(rounds, 15));
  say("websocket: broadcast");
  const cast = await broadcasts();
  say("websocket: memory");
  const { ratio: memory, rawBytes, managedBytes } = await memoryOfIdle();
  return {
    targets: [
      ...figures.map(({ name, ratio }) =>
        estimated(`echo: ${name}, raw / managed CPU of the client`, ratio, ">=", 0.93, "ratio"),
      ),
      estimated(`broadcast to ${figure(SOCKETS)}, managed / raw loop, CPU`, cast.cpu, "<=", 1.1, "ratio"),
      estimated(`broadcast to ${figure(SOCKETS)}, managed / raw loop, time`, cast.time, "<=", 1.1, "ratio"),
      estimated("RSS per idle socket, managed / raw", memory, "<=", 1.15, "ratio"),
    ],
    tables: [
      {
        title: "Echo, CPU of the client per round trip",
        columns: ["what", "raw, us", "managed, us", "raw / managed"],
        rows: figures.map(({ name, rawUs, managedUs, ratio }) => [name, rawUs, managedUs, spread(ratio)]),
      },
      {
        title: `Hub with ${figure(SOCKETS)} sockets`,
        columns: ["what", "raw", "managed"],
        rows: [
          ["broadcast, ms", spread(cast.rawMs), spread(cast.managedMs)],
          ["RSS per idle socket, bytes", spread(rawBytes), spread(managedBytes)],
        ],
        note: "Broadcast: the same sockets in both columns, in turn; the raw loop writes a frame made once to the socket below.",
      },
    ],
  };
}

interface Broadcasts {
  readonly cpu: Estimate;
  readonly time: Estimate;
  readonly rawMs: Estimate;
  readonly managedMs: Estimate;
}

async function broadcasts(): Promise<Broadcasts> {
  await using server = new Child("server.js", ["managed"]);
  await using clients = new Child("clients.js", [await server.line(), String(SOCKETS)]);
  await clients.line();
  const series = {
    raw: { cpuMs: [] as number[], ms: [] as number[] },
    managed: { cpuMs: [] as number[], ms: [] as number[] },
  };
  for (let round = 0; round < BROADCASTS + 6; round++) {
    for (const kind of round % 2 === 0 ? (["raw", "managed"] as const) : (["managed", "raw"] as const)) {
      const { cpuMs = NaN, ms = NaN } = await server.ask(kind);
      if (round >= 6) {
        series[kind].cpuMs.push(cpuMs);
        series[kind].ms.push(ms);
      }
      // The clients take what they were sent.
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
  }
  return {
    cpu: ratios(series.managed.cpuMs, series.raw.cpuMs),
    time: ratios(series.managed.ms, series.raw.ms),
    rawMs: estimate(series.raw.ms),
    managedMs: estimate(series.managed.ms),
  };
}

async function memoryOfIdle(): Promise<{ ratio: Estimate; rawBytes: Estimate; managedBytes: Estimate }> {
  const [raw, managed]: [number[], number[]] = [[], []];
  for (let round = 0; round < MEMORY_ROUNDS; round++) {
    raw.push(await idleBytes("raw"));
    managed.push(await idleBytes("managed"));
  }
  return { ratio: ratios(managed, raw), rawBytes: estimate(raw), managedBytes: estimate(managed) };
}

/** Growth of the server's RSS for each socket that does nothing. */
async function idleBytes(kind: string): Promise<number> {
  await using server = new Child("server.js", [kind]);
  const port = await server.line();
  const { rss: before = NaN } = await server.ask("memory");
  await using clients = new Child("clients.js", [port, String(SOCKETS)]);
  await clients.line();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const { rss = NaN, sockets = NaN } = await server.ask("memory");
  if (sockets !== SOCKETS)
    throw new Error(`${sockets} sockets instead of ${SOCKETS}: is the limit of open files high enough?`);
  return (rss - before) / SOCKETS;
}
