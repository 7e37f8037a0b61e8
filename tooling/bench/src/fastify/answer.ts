import { createInterface } from "node:readline";
import { sessions } from "./graph.ts";

/** Answers each line on the input with the CPU that this process has used, in us, until the input ends. */
export async function answerWithCpu(): Promise<void> {
  for await (const _line of createInterface({ input: process.stdin })) {
    const { user, system } = process.cpuUsage();
    console.log(JSON.stringify({ us: user + system, open: sessions.open }));
  }
}
