import { failure } from "@steward/testing";
import { GrpcChannelManager } from "../../src/index.ts";
import { Renderer, status } from "../renderer.ts";

/** Stops with a call in flight on a peer that went silent; the process has to end by itself. */
const address = process.argv[2] ?? "";
const options = { address, service: Renderer, silenceMs: 60_000 };
const manager = await new GrpcChannelManager(options, { stopTimeoutMs: 500 }).start();
process.stdout.write("ready\n");
await new Promise((resolve) => process.stdin.once("data", resolve));
process.stdin.destroy();
const silent = failure(status(manager.client, { id: "a" }));
await manager.stop();
console.log((await silent).code);
