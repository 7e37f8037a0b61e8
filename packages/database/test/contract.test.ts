import assert from "node:assert/strict";
import { resourceContract, startFaultProxy } from "@steward/testing";
import { postgresForTests } from "@steward/launchers";
import t from "tap";
import { DatabasePoolManager } from "../src/index.ts";

const server = await postgresForTests();
const proxy = await startFaultProxy({ target: server.url });
t.teardown(async () => {
  await proxy.stop();
  await server[Symbol.asyncDispose]();
});

resourceContract(
  { test: (name, fn) => t.test(name, fn), assert },
  {
    create: (context) => new DatabasePoolManager({ url: proxy.url, maxConnections: 2 }, context),
    places: 2,
    use: (manager) => manager.client.$client`select 1`.execute(),
    ends: ({ client }) => [() => client.$client.end()],
    proxy,
  },
);
