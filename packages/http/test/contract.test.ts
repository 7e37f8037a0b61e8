import assert from "node:assert/strict";
import { resourceContract, startFaultProxy } from "@steward/testing";
import t from "tap";
import { HttpSessionManager } from "../src/index.ts";
import { serve } from "./servers.ts";

const server = await serve((_request, response) => response.end("hello"));
const proxy = await startFaultProxy({ target: server.url });
t.teardown(async () => {
  await proxy.stop();
  await server[Symbol.asyncDispose]();
});

resourceContract(
  { test: (name, fn) => void t.test(name, fn), assert },
  {
    create: (context) =>
      new HttpSessionManager({ baseUrl: proxy.url, probeUrl: proxy.url, retry: false, maxConnections: 2 }, context),
    places: 2,
    use: async (manager) => {
      const { body } = await manager.client.request("/");
      assert.equal(await body.text(), "hello");
    },
    ends: ({ client }) => [() => client.close(), () => client.destroy()],
    proxy,
  },
);
