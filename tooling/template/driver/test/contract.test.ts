import assert from "node:assert/strict";
import { container } from "@steward/container";
import { failure, resourceContract, startFaultProxy, until } from "@steward/testing";
import t from "tap";
import { sample, SampleManager, type SampleOptions } from "../src/index.ts";
import { sampleForTests } from "../src/testing.ts";

const remote = await sampleForTests();
const proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: remote.port } });
t.teardown(async () => {
  await proxy.stop();
  await remote[Symbol.asyncDispose]();
});

resourceContract(
  { test: (name, fn) => t.test(name, fn), assert },
  {
    create: (context) => new SampleManager({ port: proxy.port }, context),
    use: (manager) => manager.client.call("hi"),
    proxy,
  },
);

t.test("a mistyped option is refused with the nearest known one", async (t) => {
  const mistyped = { port: 1, timeout: 1 } as SampleOptions; // as JavaScript would pass it
  t.throws(() => new SampleManager(mistyped), { code: "OPTIONS_INVALID", message: /did you mean "timeoutMs"/ });
});

t.test("what the remote refuses is an error with a code", async (t) => {
  await using manager = await new SampleManager({ port: remote.port }).start();
  t.match(await failure(manager.client.call("")), { code: "SAMPLE_REFUSED" });
});

t.test(
  "calls run into their deadline while the remote is silent, and go on once it is back, with the same client",
  async (t) => {
    await using manager = await new SampleManager({ port: proxy.port, timeoutMs: 100 }).start();
    const { client } = manager;
    proxy.blackhole();
    t.match(await failure(client.call("lost")), { code: "DEADLINE_EXCEEDED" });
    await proxy.heal();
    t.equal(await client.call("hi"), "hi");
    t.match(manager.stats(), { succeeded: 1, failed: 1 });
  },
);

t.test("a connection that breaks fails what waits for an answer, and the next call has a new one", async (t) => {
  await using manager = await new SampleManager({ port: proxy.port }).start();
  const { lostBytes } = proxy.stats();
  proxy.blackhole();
  const lost = failure(manager.client.call("lost"));
  await until(() => proxy.stats().lostBytes > lostBytes, "it is on its way");
  await proxy.heal();
  proxy.reset();
  t.match(await lost, { code: "OUTCOME_UNKNOWN" });
  t.equal(await manager.client.call("hi"), "hi");
});

t.test("it works in a container, where a test puts its own in its place", async (t) => {
  const things = sample("things", { port: 1 });
  await using other = await sampleForTests("things");
  await using running = await container([things]).override(things, other.definition).start();
  t.equal(await running.get(things).call("hi"), "hi");
});
