import { GrpcChannelManager } from "@steward/grpc";
import { startFaultProxy, type FaultProxy } from "@steward/testing";
import { startServer } from "./other-process.ts";
import { Echo, say } from "./service.ts";

const EVERY_MS = 10;
const BLACKHOLE_MS = 10_000;
const AFTER_MS = 6_000;
const PAYLOAD = Buffer.alloc(64, "x");

/** How a fault went, in ms. */
export interface FaultFigures {
  readonly fault: string;
  /** From the fault to the first error. */
  readonly firstErrorMs: number;
  /** From the end of the fault until calls that begin succeed, all of them. */
  readonly healthyMs: number;
  readonly calls: number;
  readonly failed: number;
  /** The longest that any call took. */
  readonly longestMs: number;
}

interface Ended {
  readonly began: number;
  readonly ended: number;
  readonly ok: boolean;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls at a steady rate, whatever becomes of them. */
async function load(call: () => Promise<unknown>, until: () => boolean): Promise<readonly Ended[]> {
  const all: Promise<Ended>[] = [];
  while (!until()) {
    const began = performance.now();
    all.push(
      call().then(
        () => ({ began, ended: performance.now(), ok: true }),
        () => ({ began, ended: performance.now(), ok: false }),
      ),
    );
    await sleep(EVERY_MS);
  }
  return Promise.all(all);
}

async function run(fault: string, breakIt: (proxy: FaultProxy) => void, lastsMs: number): Promise<FaultFigures> {
  await using server = await startServer();
  await using proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: server.port } });
  // The defaults, but for the deadline.
  await using manager = await new GrpcChannelManager({
    address: `127.0.0.1:${proxy.port}`,
    service: Echo,
    timeoutMs: 2_000,
  }).start();
  let over = false;
  const loading = load(
    () => say(manager.client, PAYLOAD),
    () => over,
  );
  await sleep(1_000);
  const brokeAt = performance.now();
  breakIt(proxy);
  await sleep(lastsMs);
  await proxy.heal();
  const healedAt = performance.now();
  await sleep(AFTER_MS);
  over = true;
  const calls = await loading;
  const failed = calls.filter(({ ok }) => !ok);
  const lastFailed = Math.max(healedAt, ...failed.map(({ began }) => began));
  return {
    fault,
    firstErrorMs: Math.min(...failed.map(({ ended }) => ended)) - brokeAt,
    healthyMs: (calls.find(({ began, ok }) => ok && began > lastFailed)?.began ?? Infinity) - healedAt,
    calls: calls.length,
    failed: failed.length,
    longestMs: Math.max(...calls.map(({ began, ended }) => ended - began)),
  };
}

/** What calls meet when a connection falls silent, and when the whole network does. */
export async function faults(): Promise<readonly FaultFigures[]> {
  return [
    await run("half-open", (proxy) => proxy.halfOpen(), 0),
    await run("blackhole of 10 s", (proxy) => proxy.blackhole(), BLACKHOLE_MS),
  ];
}
