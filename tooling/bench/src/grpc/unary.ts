import { credentials } from "@grpc/grpc-js";
import { GrpcChannelManager } from "@steward/grpc";
import { ratios, type Estimate } from "../harness/statistics.ts";
import { startServer } from "./other-process.ts";
import { Echo, say, type EchoClient } from "./service.ts";

const OPERATIONS = 3_000;
const PAYLOAD = Buffer.alloc(64, "x");
const DEADLINE_MS = 30_000;

type Call = () => Promise<unknown>;

/** CPU of the client per call in µs, raw over managed. */
export interface UnaryFigures {
  readonly name: string;
  readonly rawUs: number;
  readonly managedUs: number;
  readonly ratio: Estimate;
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

async function compared(raw: Call, managed: Call, width: number, rounds: number): Promise<Omit<UnaryFigures, "name">> {
  const [rawUs, managedUs]: [number[], number[]] = [[], []];
  for (const call of [raw, managed, raw, managed]) await batch(call, width);
  for (let round = 0; round < rounds; round++) {
    const turn = [
      () => cpuOf(raw, width).then((us) => rawUs.push(us)),
      () => cpuOf(managed, width).then((us) => managedUs.push(us)),
    ];
    // The order turns, so that neither always comes second.
    for (const measure of round % 2 === 0 ? turn : turn.reverse()) await measure();
  }
  const middle = (all: number[]): number => [...all].sort((x, y) => x - y)[all.length >> 1] ?? NaN;
  return { rawUs: middle(rawUs), managedUs: middle(managedUs), ratio: ratios(rawUs, managedUs) };
}

/** Unary calls through a raw client and through ours, in turn, in one process; the server is another one. */
export async function unary(rounds: number): Promise<readonly UnaryFigures[]> {
  await using server = await startServer();
  const address = `127.0.0.1:${server.port}`;
  const raw: EchoClient = new Echo(address, credentials.createInsecure());
  await using manager = await new GrpcChannelManager({ address, service: Echo }).start();
  const managed: Call = () => say(manager.client, PAYLOAD);
  const figures: UnaryFigures[] = [];
  for (const width of [1, 50]) {
    const plain = await compared(() => say(raw, PAYLOAD), managed, width, rounds);
    figures.push({ name: `raw without a deadline, ${width} at once`, ...plain });
    const bounded = await compared(
      () => say(raw, PAYLOAD, { deadline: Date.now() + DEADLINE_MS }),
      managed,
      width,
      rounds,
    );
    figures.push({ name: `raw with a deadline, ${width} at once`, ...bounded });
  }
  raw.close();
  return figures;
}
