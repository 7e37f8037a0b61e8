import assert from "node:assert/strict";
import { container } from "@steward/container";
import { failure, resourceContract, startFaultProxy, until } from "@steward/testing";
import t from "tap";
import { sample, SampleManager, type SampleClient, type SampleOptions } from "../src/index.ts";
import { sampleForTests } from "../src/testing.ts";

/** A call that succeeds, and one that the remote refuses. */
const ask = async (client: SampleClient): Promise<void> => assert.equal(await client.call("hi"), "hi");
const askWrong = (client: SampleClient): Promise<unknown> => client.call("");

const remote = await sampleForTests();
const proxy = await startFaultProxy({ target: remote.endpoint.url });
const url = new URL(remote.endpoint.url);
url.port = String(proxy.port);
const endpoint = { ...remote.endpoint, url: url.href };
t.teardown(async () => {
  await proxy.stop();
  await remote[Symbol.asyncDispose]();
});

resourceContract(
  { test: (name, fn) => t.test(name, fn), assert },
  {
    create: (context) => new SampleManager(endpoint, context),
    use: (manager) => ask(manager.client),
    proxy,
  },
);

t.test("a mistyped option is refused with the nearest known one", async (t) => {
  const mistyped = { ...endpoint, timeout: 1 } as SampleOptions; // as JavaScript would pass it
  t.throws(() => new SampleManager(mistyped), { code: "OPTIONS_INVALID", message: /did you mean "timeoutMs"/ });
});

t.test("what the remote refuses is an error with a code", async (t) => {
  await using manager = await new SampleManager(remote.endpoint).start();
  t.match(await failure(askWrong(manager.client)), { code: "SAMPLE_REFUSED" });
});

t.test(
  "calls run into their deadline while the remote is silent, and go on once it is back, with the same client",
  async (t) => {
    await using manager = await new SampleManager({ ...endpoint, timeoutMs: 100 }).start();
    const { client } = manager;
    proxy.blackhole();
    t.match(await failure(ask(client)), { code: "DEADLINE_EXCEEDED" });
    await proxy.heal();
    await ask(client);
    t.match(manager.stats(), { succeeded: 1, failed: 1 });
  },
);

t.test("a connection that breaks fails what waits for an answer, and the next call has a new one", async (t) => {
  await using manager = await new SampleManager(endpoint).start();
  const { lostBytes } = proxy.stats();
  proxy.blackhole();
  const lost = failure(ask(manager.client));
  await until(() => proxy.stats().lostBytes > lostBytes, "it is on its way");
  await proxy.heal();
  proxy.reset();
  t.match(await lost, { code: "OUTCOME_UNKNOWN" });
  await ask(manager.client);
});

t.test("it works in a container, where a test puts its own in its place", async () => {
  const things = sample("things", { ...endpoint, url: "http://127.0.0.1:1" });
  await using other = await sampleForTests("things");
  await using running = await container([things]).override(things, other.definition).start();
  await ask(running.get(things));
});
