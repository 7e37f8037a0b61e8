import { measureIn, nodeOf } from "../harness/process.ts";
import { estimated, exactly, figure, spread, type Findings, type Table, type Target } from "../harness/report.ts";
import type { Settings } from "../harness/settings.ts";
import { estimate, ratios, type Estimate } from "../harness/statistics.ts";
import { Child } from "./child.ts";
import type { EchoFigures } from "./echo.ts";
import { pace, type Pace } from "./pace.ts";
import { reconnects, type Reconnects } from "./reconnects.ts";

const SOCKETS = 10_000;
const BROADCASTS = 31;
const MEMORY_ROUNDS = 5;

const BOUND_BYTES = 1_048_576;

/** Echo through a session beside a raw client; a hub with 10,000 sockets beside a raw server; a client that does not read; 1,000 that come back. */
export async function websocketBench(settings: Settings): Promise<Findings> {
  const { rounds, nodes, say } = settings;
  const parts: Findings[] = [];
  for (const major of nodes) {
    say(`websocket: echo on Node ${major}`);
    parts.push(await echoOn(major, rounds));
  }
  say("websocket: broadcast");
  const cast = await broadcasts();
  say("websocket: memory");
  parts.push(hubFindings(cast, await memoryOfIdle()));
  say("websocket: a client that does not read");
  parts.push(paceFindings(await pace(Math.max(rounds, 9))));
  say("websocket: 1,000 clients come back");
  parts.push(reconnectFindings(await reconnects()));
  return { targets: parts.flatMap(({ targets }) => targets), tables: parts.flatMap(({ tables }) => tables) };
}

async function echoOn(major: number, rounds: number): Promise<Findings> {
  const node = await nodeOf(major);
  const figures = (await measureIn(node, "websocket/echo-run.js", [String(rounds)])) as readonly EchoFigures[]; // it prints that
  return {
    targets: figures.map(({ name, ratio }) =>
      estimated(`Node ${major}: echo: ${name}, raw / managed CPU of the client`, ratio, ">=", 0.93, "ratio"),
    ),
    tables: [
      {
        title: `Echo on Node ${node.version}, CPU of the client per round trip`,
        columns: ["what", "raw, us", "managed, us", "raw / managed"],
        rows: figures.map(({ name, rawUs, managedUs, ratio }) => [
          name,
          figure(rawUs),
          figure(managedUs),
          spread(ratio),
        ]),
      },
    ],
  };
}

function hubFindings(cast: Broadcasts, { ratio: memory, rawBytes, managedBytes }: Memory): Findings {
  const what = `broadcast to ${figure(SOCKETS)}, managed / raw loop`;
  const targets: Target[] = [
    estimated(`${what}, CPU`, cast.cpu, "<=", 1.1, "ratio"),
    estimated(`${what}, time`, cast.time, "<=", 1.1, "ratio"),
    estimated("RSS per idle socket, managed / raw", memory, "<=", 1.15, "ratio"),
  ];
  const table: Table = {
    title: `Hub with ${figure(SOCKETS)} sockets`,
    columns: ["what", "raw", "managed"],
    rows: [
      ["broadcast, ms", spread(cast.rawMs), spread(cast.managedMs)],
      ["RSS per idle socket, bytes", spread(rawBytes), spread(managedBytes)],
    ],
    note: "Broadcast: the same sockets in both columns, in turn; the raw loop writes a frame made once to the socket below.",
  };
  return { targets, tables: [table] };
}

function paceFindings({ heldBytes, dropped, missed, cpu }: Pace): Findings {
  return {
    targets: [
      exactly("a paused client: bytes kept for it", heldBytes, "<=", BOUND_BYTES, "bytes"),
      exactly("beside a paused client: messages that others missed", missed, "=", 0, "messages"),
      estimated("beside a paused client: CPU for the others, with / without it", cpu, "<=", 1.1, "ratio"),
    ],
    tables: [
      {
        title: "A client that does not read, beside ten that do; bursts of 16 MB",
        columns: ["bytes kept for it", "dropped for it", "missed by others", "CPU with / without it"],
        rows: [[figure(heldBytes), figure(dropped), figure(missed), spread(cpu)]],
      },
    ],
  };
}

function reconnectFindings({ chosen, came, allMs }: Reconnects): Findings {
  const most = Math.max(...chosen) / chosen.reduce((sum, count) => sum + count, 0);
  return {
    targets: [exactly("1,000 clients come back: most in a twentieth of the time", most, "<=", 0.1, "share")],
    tables: [
      {
        title: "1,000 clients come back after a restart, jitter 5 s; how many in each 250 ms",
        columns: ["what", "clients"],
        rows: [
          ["chosen", chosen.join(" ")],
          ["came", came.join(" ")],
        ],
        note: `The last one was back after ${figure(allMs)} ms. When a busy machine gets round to each is not theirs to choose.`,
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

interface Memory {
  readonly ratio: Estimate;
  readonly rawBytes: Estimate;
  readonly managedBytes: Estimate;
}

async function memoryOfIdle(): Promise<Memory> {
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
