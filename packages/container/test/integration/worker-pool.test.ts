import { isStewardError } from "@steward/core";
import { failure, until } from "@steward/testing";
import t from "tap";
import { container } from "../../src/index.ts";
import { workerPool, WorkerPoolManager, type WorkerPoolSettings } from "../../src/worker-pool.ts";
import type { PoolMethods } from "../worker-pool-methods.ts";

const module = new URL("../worker-pool-methods.js", import.meta.url);

async function pooled(options: Partial<WorkerPoolSettings> = {}) {
  const definition = workerPool<PoolMethods>("cpu", { module, size: 2, ...options });
  const running = await container([definition], { health: false }).start();
  return {
    pool: running.get(definition),
    stats: () => running.stats()["cpu"],
    running,
    [Symbol.asyncDispose]: () => running.stop(),
  };
}

t.test("calls run on as many workers as there are, the others wait in a bounded queue", async (t) => {
  await using cpu = await pooled({ maxPending: 1 });
  t.equal(await cpu.pool.run("square", 7), 49);
  const blocked = [cpu.pool.run("block", 200), cpu.pool.run("block", 200)];
  const waiting = cpu.pool.run("square", 3);
  t.equal((await failure(cpu.pool.run("square", 4))).code, "OVERLOADED");
  t.match(cpu.stats(), { size: 2, inUse: 2, pending: 1, utilisation: 1 });
  t.strictSame(await Promise.all([...blocked, waiting]), ["done", "done", 9]);
  t.match(await failure(cpu.pool.run("cube" as "square", 1)), { code: "WORKER_MESSAGE_REFUSED" });
});

t.test("a call past its deadline settles, and its worker is free when it has really ended", async (t) => {
  await using cpu = await pooled({ size: 1 });
  t.equal((await failure(cpu.pool.run("block", 300, { timeoutMs: 50 }))).code, "DEADLINE_EXCEEDED");
  t.match(cpu.stats(), { inUse: 1, replaced: 0 });
  t.equal(await cpu.pool.run("square", 5), 25);
});

t.test("what may be cut off is cut off, and its worker replaced", async (t) => {
  await using cpu = await pooled({ size: 1, interruptible: true });
  const given = new AbortController();
  const call = failure(cpu.pool.run("spin", undefined, { signal: given.signal }));
  await until(() => cpu.stats()?.["inUse"] === 1, "the call");
  given.abort();
  t.equal((await call).code, "CALL_ABORTED");
  await until(() => cpu.stats()?.["replaced"] === 1 && cpu.stats()?.["size"] === 1, "a new worker");
  t.equal(await cpu.pool.run("square", 6), 36);
});

t.test("a worker that ends fails its call alone, and another one takes its place", async (t) => {
  await using cpu = await pooled({ isolation: "process" });
  const [ended, other] = await Promise.all([failure(cpu.pool.run("exit")), cpu.pool.run("square", 8)]);
  t.equal(ended.code, "WORKER_ENDED");
  t.equal(other, 64);
  await until(() => cpu.stats()?.["size"] === 2, "a new worker");
  t.strictSame(await Promise.all([1, 2, 3].map((n) => cpu.pool.run("square", n))), [1, 4, 9]);
});

t.test("a pool works alone, drains what runs, and refuses after its stop", async (t) => {
  const manager = await new WorkerPoolManager<PoolMethods>({ module, size: 1 }).start();
  const running = manager.client.run("block", 100);
  await manager.drain();
  t.equal(await running, "done");
  await manager.stop();
  t.equal((await failure(manager.client.run("square", 1))).code, "RESOURCE_UNAVAILABLE");
  await manager.start();
  t.equal(await manager.client.run("square", 2), 4);
  await manager.stop();
});

t.test("a module that does not start fails the start, and options that are wrong are refused", async (t) => {
  const error = await failure(pooled({ module: new URL("./nowhere.js", import.meta.url) }));
  t.ok(isStewardError(error, "START_FAILED"));
  t.match(error.message, /could not be started/);
  for (const options of [{ size: 0 }, { module: "./work.js" }, { isolation: "none" }, { threads: 2 }])
    t.equal((await failure(pooled(options as never))).code, "OPTIONS_INVALID");
  await using cpu = await pooled();
  t.throws(() => cpu.pool.run("square", 1, { timeoutMs: "x" } as never), { code: "OPTIONS_INVALID" });
});
