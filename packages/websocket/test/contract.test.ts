import assert from "node:assert/strict";
import { resourceContract, startFaultProxy } from "@steward/testing";
import t from "tap";
import { WebSocketHubManager } from "../src/hub/index.ts";
import { WebSocketSessionManager } from "../src/index.ts";
import { testHub } from "../src/testing.ts";

const hub = await testHub({ call: (body) => body }).start();
const proxy = await startFaultProxy({ target: hub.url });
t.teardown(async () => {
  await proxy.stop();
  await hub.stop();
});

resourceContract(
  { test: (name, fn) => void t.test(`sessions: ${name}`, fn), assert },
  {
    create: (context) => new WebSocketSessionManager({ url: proxy.url, closeTimeoutMs: 300 }, context),
    use: async (manager) => assert.equal(await manager.client.call("hello"), "hello"),
    ends: ({ client }) => [() => client.end()],
    proxy,
  },
);

resourceContract(
  { test: (name, fn) => void t.test(`hub: ${name}`, fn), assert },
  { create: (context) => new WebSocketHubManager({ path: "/ws" }, context) },
);
