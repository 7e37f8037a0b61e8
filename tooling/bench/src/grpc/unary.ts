import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { GrpcChannelManager } from "@steward/grpc";
import { Child } from "@steward/harness";
import { lanes, type Opened } from "../arms/together.ts";
import { Echo, say, type EchoClient } from "./service.ts";

const PAYLOAD = Buffer.alloc(64, "x");
const DEADLINE_MS = 30_000;

/** Unary calls through raw clients and through ours, in one process; the server is another one. */
export async function open(): Promise<Opened> {
  const server = new Child({ node: process.execPath }, join(import.meta.dirname, "server.js"));
  const address = `127.0.0.1:${await server.line()}`;
  const plain: EchoClient = new Echo(address, credentials.createInsecure());
  const lean: EchoClient = new Echo(address, credentials.createInsecure(), { "grpc.enable_channelz": 0 });
  const manager = await new GrpcChannelManager({ address, service: Echo }).start();
  const bounded = (raw: EchoClient): Promise<unknown> => say(raw, PAYLOAD, { deadline: Date.now() + DEADLINE_MS });
  const groups = [1, 50].map((width) => ({
    work: `unary call, ${width} at once`,
    runs: {
      Steward: lanes(width, () => say(manager.client, PAYLOAD)),
      "grpc-js": lanes(width, () => say(plain, PAYLOAD)),
      "grpc-js, same deadline": lanes(width, () => bounded(plain)),
      "grpc-js, same deadline, without channelz": lanes(width, () => bounded(lean)),
    },
  }));
  return {
    groups,
    async [Symbol.asyncDispose]() {
      await manager.stop();
      for (const client of [plain, lean]) client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}
