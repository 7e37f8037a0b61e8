import { isStewardError, runWithContext, systemClock } from "@steward/core";
import { failure, until } from "@steward/testing";
import t from "tap";
import { container } from "../../src/index.ts";
import { workerPool, WorkerPoolManager, type WorkerPoolSettings } from "../../src/worker-pool.ts";
import type { PoolMethods, PoolStarts } from "../worker-pool-methods.ts";

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

t.test("a worker whose request has run out of time is in use until its call has really ended", async (t) => {
  await using cpu = await pooled({ size: 1 });
  for (const code of ["DEADLINE_EXCEEDED", "CALL_ABORTED"]) {
    const gone = new AbortController();
    const context = code === "CALL_ABORTED" ? { signal: gone.signal } : { deadline: systemClock.now() + 50 };
    const call = runWithContext(context, () => failure(cpu.pool.run("block", 300)));
    setTimeout(() => gone.abort(), 50);
    t.equal((await call).code, code);
    t.match(cpu.stats(), { inUse: 1 });
    t.equal(await cpu.pool.run("square", 5), 25);
  }
});

const starting = (more: Omit<PoolStarts, "state">): PoolStarts => ({
  state: new Int32Array(new SharedArrayBuffer(12)),
  ...more,
});

function release({ state }: PoolStarts): void {
  Atomics.store(state, 1, 1);
  Atomics.notify(state, 1);
}

t.test("a start that fails leaves no workers behind for the next one", async (t) => {
  const manager = new WorkerPoolManager<PoolMethods>({ module, size: 3, data: starting({ fails: 0 }) });
  t.equal((await failure(manager.start())).code, "WORKER_START_FAILED");
  t.match(manager.stats(), { size: 0 });
  await manager.start();
  t.match(manager.stats(), { size: 3 });
  await manager.stop();
});

t.test("a worker that was being replaced at a stop is closed, and does not join the next start", async (t) => {
  const data = starting({ waits: 1 });
  const manager = await new WorkerPoolManager<PoolMethods>({ module, size: 1, data }).start();
  t.equal((await failure(manager.client.run("exit"))).code, "WORKER_ENDED");
  await until(() => data.state[0] === 2, "the start of the next one");
  await manager.stop();
  await manager.start();
  release(data);
  await until(() => data.state[2] === 1, "its close");
  t.match(manager.stats(), { size: 1 });
  await manager.stop();
});

t.test("a call that waits for a replacement is not given a worker that ends, and may be given up", async (t) => {
  const data = starting({ waits: 2 });
  await using cpu = await pooled({ data });
  t.equal((await failure(cpu.pool.run("exit"))).code, "WORKER_ENDED");
  await until(() => data.state[0] === 3, "the start of the next one");
  const ends = failure(cpu.pool.run("exitAfter", 200));
  const given = new AbortController();
  const waiting = failure(cpu.pool.run("square", 2, { signal: given.signal }));
  given.abort();
  t.equal((await waiting).code, "CALL_ABORTED");
  await until(() => cpu.stats()?.["inUse"] === 1, "its place");
  const next = cpu.pool.run("square", 3);
  t.equal((await ends).code, "WORKER_ENDED");
  t.equal(await next, 9);
  release(data);
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
