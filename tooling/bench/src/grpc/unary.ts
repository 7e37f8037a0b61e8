import { credentials } from "@grpc/grpc-js";
import { GrpcChannelManager } from "@steward/grpc";
import { startServer } from "./other-process.ts";
import { Echo, say, type EchoClient } from "./service.ts";

/** Short, so that both arms of a pair meet the same machine. */
const OPERATIONS = 600;
const WARM_UP = 6;
const PAYLOAD = Buffer.alloc(64, "x");
const DEADLINE_MS = 30_000;

type Call = () => Promise<unknown>;

/** CPU of the client per call in µs, pair by pair. */
export interface UnarySeries {
  readonly name: string;
  /** Whether the raw client is as it comes, or has some of our settings. */
  readonly isDefault: boolean;
  readonly rawUs: readonly number[];
  readonly managedUs: readonly number[];
}

async function batch(call: Call, width: number): Promise<void> {
  let left = OPERATIONS;
  const lane = async (): Promise<void> => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: width }, lane));
}

async function cpuOf(call: Call, width: number): Promise<number> {
  const cpu = process.cpuUsage();
  await batch(call, width);
  const { user, system } = process.cpuUsage(cpu);
  return (user + system) / OPERATIONS;
}

async function compared(
  raw: Call,
  managed: Call,
  width: number,
  pairs: number,
): Promise<Pick<UnarySeries, "rawUs" | "managedUs">> {
  const [rawUs, managedUs]: [number[], number[]] = [[], []];
  for (let i = 0; i < WARM_UP; i++) for (const call of [raw, managed]) await batch(call, width);
  for (let pair = 0; pair < pairs; pair++) {
    const turn = [
      () => cpuOf(raw, width).then((us) => rawUs.push(us)),
      () => cpuOf(managed, width).then((us) => managedUs.push(us)),
    ];
    // The order turns, so that neither always comes second.
    for (const measure of pair % 2 === 0 ? turn : turn.reverse()) await measure();
  }
  return { rawUs, managedUs };
}

/** Unary calls through a raw client and through ours, in turn, in one process; the server is another one. */
export async function unary(pairs: number): Promise<readonly UnarySeries[]> {
  await using server = await startServer();
  const address = `127.0.0.1:${server.port}`;
  const plain: EchoClient = new Echo(address, credentials.createInsecure());
  const lean: EchoClient = new Echo(address, credentials.createInsecure(), { "grpc.enable_channelz": 0 });
  await using manager = await new GrpcChannelManager({ address, service: Echo }).start();
  const managed: Call = () => say(manager.client, PAYLOAD);
  const bounded = (raw: EchoClient): Promise<unknown> => say(raw, PAYLOAD, { deadline: Date.now() + DEADLINE_MS });
  const rivals: readonly [name: string, isDefault: boolean, call: Call][] = [
    ["raw as it comes", true, () => say(plain, PAYLOAD)],
    ["raw with our deadline", false, () => bounded(plain)],
    ["raw with our deadline, without channelz", false, () => bounded(lean)],
  ];
  const all: UnarySeries[] = [];
  for (const width of [1, 50])
    for (const [name, isDefault, call] of rivals)
      all.push({ name: `${name}, ${width} at once`, isDefault, ...(await compared(call, managed, width, pairs)) });
  plain.close();
  lean.close();
  return all;
}
