import { WebSocketSessionManager } from "@steward/websocket";
import { WebSocket } from "ws";
import { median, ratios, type Estimate } from "../harness/statistics.ts";
import { Child } from "./child.ts";

/** A batch takes some 60 ms one at a time, so that a burst of other work on the machine spoils a pair, not the run. */
const OPERATIONS = 2_000;
/** Batches of each before the first that counts: by then everything hot is compiled. */
const WARM_UP = 25;
/** Pairs for each round that was asked for. */
const PAIRS = 5;
const PAYLOAD = "x".repeat(64);

/** Makes so many round trips and resolves after the last one. */
type Batch = (operations: number) => Promise<void>;

interface Pair {
  readonly name: string;
  readonly raw: Batch;
  readonly managed: Batch;
}

/** Messages that answer each other, `width` of them on the way at once. */
function messages(width: number, on: (listener: () => void) => void, send: () => void): Batch {
  let left = 0;
  let pending = 0;
  let done = (): void => {};
  on(() => {
    pending--;
    if (left > 0) next();
    else if (pending === 0) done();
  });
  const next = (): void => {
    left--;
    pending++;
    send();
  };
  return (operations) =>
    new Promise((resolve) => {
      [left, done] = [operations, resolve];
      for (let i = 0; i < width; i++) next();
    });
}

/** Calls with a reply each, `width` at once. */
function calls(width: number, call: () => Promise<unknown>): Batch {
  return async (operations) => {
    let left = operations;
    const lane = async (): Promise<void> => {
      while (left-- > 0) await call();
    };
    await Promise.all(Array.from({ length: width }, lane));
  };
}

/** What people write by hand: ids, a map of those that wait, and nothing for when it goes wrong. */
function byHand(socket: WebSocket): () => Promise<unknown> {
  const waiting = new Map<number, (value: unknown) => void>();
  let lastId = 0;
  socket.on("message", (data) => {
    const text = String(data);
    if (!text.startsWith('{"id":')) return;
    const { id, ok } = JSON.parse(text);
    waiting.get(id)?.(ok);
    waiting.delete(id);
  });
  return () =>
    new Promise((resolve) => {
      waiting.set(++lastId, resolve);
      socket.send(JSON.stringify({ id: lastId, call: PAYLOAD }));
    });
}

async function cpuOf(batch: Batch): Promise<number> {
  const cpu = process.cpuUsage();
  await batch(OPERATIONS);
  const { user, system } = process.cpuUsage(cpu);
  return (user + system) / OPERATIONS;
}

/** A pair's figures: CPU of the client per round trip in µs, and raw over managed. */
export interface EchoFigures {
  readonly name: string;
  readonly rawUs: number;
  readonly managedUs: number;
  readonly ratio: Estimate;
}

/** Echo through a raw client and through a session, in turn, in one process; the server is another one. */
export async function echo(rounds: number): Promise<readonly EchoFigures[]> {
  await using server = new Child("server.js", ["echo"]);
  const url = `ws://127.0.0.1:${await server.line()}`;
  const figures: EchoFigures[] = [];
  for (const width of [1, 50]) {
    const sockets = await Promise.all([0, 1].map(() => opened(url)));
    const [forMessages = await opened(url), forCalls = await opened(url)] = sockets;
    await using a = await new WebSocketSessionManager({ url }).start();
    await using b = await new WebSocketSessionManager({ url }).start();
    const pairs: readonly Pair[] = [
      {
        name: `messages, ${width} at once`,
        raw: messages(
          width,
          (listener) => forMessages.on("message", listener),
          () => forMessages.send(PAYLOAD),
        ),
        managed: messages(
          width,
          (listener) => a.client.on("message", listener),
          () => void a.client.send(PAYLOAD),
        ),
      },
      {
        name: `calls, ${width} at once`,
        raw: calls(width, byHand(forCalls)),
        managed: calls(width, () => b.client.call(PAYLOAD)),
      },
    ];
    for (const pair of pairs) figures.push(await compared(pair, rounds));
    for (const socket of sockets) socket.terminate();
  }
  return figures;
}

async function compared({ name, raw, managed }: Pair, rounds: number): Promise<EchoFigures> {
  const [rawUs, managedUs]: [number[], number[]] = [[], []];
  for (let i = 0; i < WARM_UP; i++) for (const batch of [raw, managed]) await batch(OPERATIONS);
  for (let round = 0; round < rounds * PAIRS; round++) {
    // The order turns, so that neither always comes second.
    const order =
      round % 2 === 0
        ? ([
            [raw, rawUs],
            [managed, managedUs],
          ] as const)
        : ([
            [managed, managedUs],
            [raw, rawUs],
          ] as const);
    for (const [batch, into] of order) into.push(await cpuOf(batch));
  }
  return { name, rawUs: median(rawUs), managedUs: median(managedUs), ratio: ratios(rawUs, managedUs) };
}

function opened(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  return new Promise((resolve, reject) => socket.once("open", () => resolve(socket)).once("error", reject));
}
