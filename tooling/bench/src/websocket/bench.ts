import { type Findings, type Row, row } from "@steward/harness";
import { besideRow, together, togetherTable } from "../arms/together.ts";
import type { Settings } from "../settings.ts";
import { hubRows } from "./hub.ts";
import { reconnects } from "./reconnects.ts";
import { slowReader } from "./slow-reader.ts";

const area = "websocket";

/** Echo beside a raw client; a hub with 10,000 sockets; a client that does not read; 1,000 that come back. */
export async function websocketBench(settings: Settings): Promise<Findings> {
  const echo = await together("websocket/echo", settings);
  const hub = await hubRows(settings);
  settings.say("a client that does not read");
  const slow = slowRows(await slowReader(settings.rounds));
  settings.say("1,000 clients come back");
  const raw = (work: string): string => (work.startsWith("calls") ? "ws, ids by hand" : "ws");
  return {
    rows: [
      ...echo.map((one) => besideRow(one, { area, ours: "Steward", raw: raw(one.work), bar: ">= 0.93" })),
      ...hub,
      ...slow,
      ...(await reconnectRows()),
    ],
    tables: [
      togetherTable(
        "Round trips of 64 bytes",
        echo,
        "The raw client has no bound, no deadline, and nothing for when a connection ends.",
      ),
    ],
  };
}

function slowRows({ heldBytes, dropped, missed, cpu }: Awaited<ReturnType<typeof slowReader>>): Row[] {
  const work = `a client that does not read (${dropped} dropped for it)`;
  const ratio = { of: "ours / limit", figure: cpu } as const;
  return [
    row({ area, work: `${work}: kept for it`, unit: "bytes", ours: heldBytes, bar: "<= 1048576" }),
    row({ area, work: `${work}: missed by the ten others`, unit: "messages", ours: missed, bar: "= 0" }),
    row({
      area,
      work: `${work}: CPU for the others, with it to without it`,
      unit: "times",
      ours: cpu,
      ratio,
      bar: "<= 1.1",
    }),
  ];
}

async function reconnectRows(): Promise<Row[]> {
  const { chosen, allMs } = await reconnects();
  const most = Math.max(...chosen) / chosen.reduce((sum, count) => sum + count, 0);
  const work = "1,000 clients come back with a jitter of 5 s";
  return [
    row({ area, work: `${work}: most that chose one twentieth of it`, unit: "share", ours: most, bar: "<= 0.1" }),
    row({ area, work: `${work}: all are back`, unit: "ms", ours: Math.round(allMs) }),
  ];
}
