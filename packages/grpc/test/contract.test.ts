import assert from "node:assert/strict";
import type { ServiceError } from "@grpc/grpc-js";
import { resourceContract, startFaultProxy } from "@steward/testing";
import t from "tap";
import { GrpcChannelManager, GrpcServerManager } from "../src/index.ts";
import { testGrpcServer } from "../src/testing.ts";
import { Renderer, renderer, status } from "./renderer.ts";

const server = await testGrpcServer({ services: [renderer()] }).start();
const proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: server.client.port } });
t.teardown(async () => {
  await proxy.stop();
  await server.stop();
});

resourceContract(
  { test: (name, fn) => void t.test(`channel ${name}`, fn), assert },
  {
    create: (context) =>
      new GrpcChannelManager(
        { address: `127.0.0.1:${proxy.port}`, service: Renderer, maxConcurrent: 2, maxPending: 10 },
        context,
      ),
    places: 2,
    // A client of grpc-js rejects with its own kind of error; ours is its cause.
    use: (manager) =>
      status(manager.client, { id: "a" }).catch((error: ServiceError) => Promise.reject(error.cause ?? error)),
    ends: ({ client, channel }) => [() => client.close(), () => channel.close()],
    proxy,
  },
);

resourceContract(
  { test: (name, fn) => void t.test(`server ${name}`, fn), assert },
  { create: (context) => new GrpcServerManager({ services: [renderer()] }, context) },
);
