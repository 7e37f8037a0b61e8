import { GrpcServerManager } from "../../src/index.ts";
import { definition, renderer } from "../renderer.ts";

/** A renderer in a process of its own; says its address, and drains when its input ends. */
const server = await new GrpcServerManager({
  services: [renderer()],
  reflection: definition,
  port: Number(process.argv[2] ?? 0),
}).start();
console.log(server.client.address);
process.stdin.resume();
process.stdin.once("end", () => void server[Symbol.asyncDispose]());
