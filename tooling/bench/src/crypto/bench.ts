import { join } from "node:path";
import { type Findings, measureIn, type Row, row } from "@steward/harness";
import { besideRow, together, type Together, togetherTable } from "../arms/together.ts";
import type { Settings } from "../settings.ts";
import type { Streams } from "./streams.ts";
import type { Turns } from "./turns.ts";

const area = "crypto";

/** Messages beside hand-written calls and node-forge, a long stream, and how long the main thread is ever busy. */
export async function cryptoBench(settings: Settings): Promise<Findings> {
  const { node, say } = settings;
  const messages = await together("crypto/messages", settings);
  say("streams");
  const streams = (await measureIn({ node }, join(import.meta.dirname, "streams.js"), [])) as Streams; // it prints them
  say("turns of the main thread");
  const turns = (await measureIn({ node }, join(import.meta.dirname, "turns.js"), [])) as Turns; // it prints them
  const longest = Object.entries(turns).map(([name, ours]) =>
    row({ area, work: `longest turn of the main thread: ${name}`, unit: "ms CPU", ours, bar: "<= 5" }),
  );
  return {
    rows: [...messages.flatMap(messageRows), ...streamRows(streams), ...longest],
    tables: [togetherTable("Messages", messages)],
  };
}

function messageRows(one: Together): Row[] {
  const small = one.work.endsWith(" 1024 bytes");
  const hand = besideRow(one, { area, ours: "Steward", raw: "by hand", bar: small ? ">= 0.85" : ">= 0.97" });
  if (one.us["node-forge, strings"] === undefined) return [hand];
  const bar = one.work.startsWith("XAES") ? ">= 8" : ">= 15";
  return [hand, besideRow(one, { area, ours: "Steward", rival: "node-forge, strings", bar })];
}

function streamRows({ bytes, sealed, both }: Streams): Row[] {
  const gigabytes = bytes / 1e9;
  const unit = "GB per CPU s";
  const grown = Math.max(sealed.grownBytes, both.grownBytes) / 2 ** 20;
  const opened = gigabytes / (both.cpuSeconds - sealed.cpuSeconds);
  return [
    row({ area, work: "stream of 4 GB, sealed", unit, ours: gigabytes / sealed.cpuSeconds, bar: ">= 0.8" }),
    row({ area, work: "stream of 4 GB, opened", unit, ours: opened, bar: ">= 0.8" }),
    row({ area, work: "stream of 4 GB, memory growth", unit: "MB", ours: grown, bar: "<= 64" }),
  ];
}
