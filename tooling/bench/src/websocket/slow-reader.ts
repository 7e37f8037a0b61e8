import { join } from "node:path";
import { Child, type Estimate, ratios } from "@steward/harness";
import { opened } from "./echo.ts";

const READERS = 10;
const MESSAGES = 1_000;

/** What a client that does not read costs. */
export interface SlowReader {
  /** Most bytes that were kept for it. */
  readonly heldBytes: number;
  /** Messages for it that were dropped. */
  readonly dropped: number;
  /** Messages that the others did not get. */
  readonly missed: number;
  /** CPU of the server for the others, with it over without it. */
  readonly cpu: Estimate;
}

/** Bursts of 16 MB to ten clients that read, in turn with and without one more that does not. */
export async function slowReader(rounds: number): Promise<SlowReader> {
  await using server = new Child({ node: process.execPath }, join(import.meta.dirname, "server.js"), ["managed"]);
  const url = `ws://127.0.0.1:${await server.line()}`;
  const seen = { got: 0, sent: 0 };
  const readers = await Promise.all(Array.from({ length: READERS }, () => opened(url)));
  for (const reader of readers) reader.on("message", () => seen.got++);
  const cpu: { alone: number[]; beside: number[] } = { alone: [], beside: [] };
  let [heldBytes, dropped] = [0, 0];
  const burst = async (into: number[]): Promise<void> => {
    const { cpuMs = NaN, held = 0, dropped: total = 0 } = await server.ask("burst");
    seen.sent += MESSAGES * READERS;
    for (let i = 0; i < 500 && seen.got < seen.sent; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    into.push(cpuMs);
    [heldBytes, dropped] = [Math.max(heldBytes, held), total];
  };
  for (let i = 0; i < 3; i++) await burst([]);
  for (let round = 0; round < rounds; round++) {
    await burst(cpu.alone);
    const paused = await opened(`${url}/paused`);
    paused.pause();
    await burst([]); // it fills what the system keeps for it
    await burst(cpu.beside);
    paused.terminate();
  }
  for (const reader of readers) reader.terminate();
  return { heldBytes, dropped, missed: seen.sent - seen.got, cpu: ratios(cpu.beside, cpu.alone) };
}
