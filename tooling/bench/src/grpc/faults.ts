import { credentials } from "@grpc/grpc-js";
import { GrpcChannelManager } from "@steward/grpc";
import { startFaultProxy, type FaultProxy } from "@steward/testing";
import { startServer } from "./other-process.ts";
import { Echo, say, type EchoClient } from "./service.ts";

const EVERY_MS = 10;
const BLACKHOLE_MS = 10_000;
const AFTER_MS = 6_000;
const DEADLINE_MS = 2_000;
const PAYLOAD = Buffer.alloc(64, "x");

/** How a fault went, in ms. */
export interface FaultFigures {
  readonly fault: string;
  readonly client: string;
  /** From the fault to the first error. */
  readonly firstErrorMs: number;
  /** From the end of the fault until calls that begin succeed, all of them; `Infinity` when they did not. */
  readonly healthyMs: number;
  /** Channels built because the one before was of no use any more. */
  readonly rebuilt: number;
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

/** A client under test. */
interface Contender extends AsyncDisposable {
  readonly name: string;
  readonly call: () => Promise<unknown>;
  readonly rebuilt: () => number;
}

/** Ours, with its defaults but for the deadline. */
async function managed(address: string): Promise<Contender> {
  const manager = await new GrpcChannelManager({ address, service: Echo, timeoutMs: DEADLINE_MS }).start();
  return {
    name: "Steward",
    call: () => say(manager.client, PAYLOAD),
    rebuilt: () => Number(manager.stats()["rebuilt"]),
    [Symbol.asyncDispose]: () => manager.stop(),
  };
}

/** The raw client with all that it has against faults: a deadline, quick keepalive, quick reconnects. */
async function tuned(address: string): Promise<Contender> {
  const client: EchoClient = new Echo(address, credentials.createInsecure(), {
    "grpc.keepalive_time_ms": 2_000,
    "grpc.keepalive_timeout_ms": 1_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.use_local_subchannel_pool": 1,
  });
  const call = (): Promise<unknown> => say(client, PAYLOAD, { deadline: Date.now() + DEADLINE_MS });
  await call();
  return { name: "raw with keepalive", call, rebuilt: () => 0, [Symbol.asyncDispose]: async () => client.close() };
}

type Start = (address: string) => Promise<Contender>;

async function run(
  fault: string,
  start: Start,
  breakIt: (proxy: FaultProxy) => void,
  lastsMs: number,
): Promise<FaultFigures> {
  await using server = await startServer();
  await using proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: server.port } });
  await using contender = await start(`127.0.0.1:${proxy.port}`);
  let over = false;
  const loading = load(contender.call, () => over);
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
    client: contender.name,
    firstErrorMs: Math.min(...failed.map(({ ended }) => ended)) - brokeAt,
    healthyMs: (calls.find(({ began, ok }) => ok && began > lastFailed)?.began ?? Infinity) - healedAt,
    rebuilt: contender.rebuilt(),
    calls: calls.length,
    failed: failed.length,
    longestMs: Math.max(...calls.map(({ began, ended }) => ended - began)),
  };
}

/** What calls meet when a connection falls silent, and when the whole network does; ours first. */
export async function faults(): Promise<{
  readonly ours: readonly FaultFigures[];
  readonly raw: readonly FaultFigures[];
}> {
  const both = async (start: Start): Promise<FaultFigures[]> => [
    await run("half-open", start, (proxy) => proxy.halfOpen(), 0),
    await run("blackhole of 10 s", start, (proxy) => proxy.blackhole(), BLACKHOLE_MS),
  ];
  return { ours: await both(managed), raw: await both(tuned) };
}
