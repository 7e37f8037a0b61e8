import assert from "node:assert/strict";
import t from "tap";
import { resourceContract, startFaultProxy } from "@steward/testing";
import { redisForTests } from "@steward/launchers";
import { RedisPoolManager } from "../src/index.ts";

const server = await redisForTests();
if (server.skip === false) {
  const proxy = await startFaultProxy({ target: server.url });
  t.teardown(async () => {
    await proxy.stop();
    await server[Symbol.asyncDispose]();
  });
  resourceContract(
    { test: (name, fn) => t.test(name, fn), assert },
    {
      create: (context) => new RedisPoolManager({ url: proxy.url, maxConcurrent: 2 }, context),
      places: 2,
      use: (manager) => manager.client.ping(),
      ends: ({ client }) => [() => client.quit(), () => client.disconnect()],
      proxy,
    },
  );
} else t.pass(server.skip, { skip: server.skip });
