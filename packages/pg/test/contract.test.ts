import assert from "node:assert/strict";
import { resourceContract, startFaultProxy } from "@steward/testing";
import t from "tap";
import { PgPoolManager } from "../src/index.ts";
import { serverFor } from "./setup.ts";

const server = await serverFor(t);
const proxy = await startFaultProxy({ target: server.url });
t.teardown(() => proxy.stop());

resourceContract(
  { test: (name, fn) => t.test(name, fn), assert },
  {
    create: (context) => new PgPoolManager({ url: proxy.url, maxConnections: 2 }, context),
    places: 2,
    use: (manager) => manager.client.query("select 1"),
    ends: ({ client }) => [() => client.end()],
    proxy,
  },
);
