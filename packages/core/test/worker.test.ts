import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import t from "tap";
import { runWithContext, systemClock } from "../src/index.ts";
import { startWorker, type WorkerOptions } from "../src/worker/index.ts";
import type { Methods } from "./worker-methods.ts";

const module = new URL("./worker-methods.js", import.meta.url);
const start = (options: WorkerOptions = {}) => startWorker<Methods>(module, { data: {}, ...options });
const BOTH = ["thread", "process"] as const;

for (const isolation of BOTH) {
  t.test(`a ${isolation} serves methods, with types, errors and codes`, async (t) => {
    await using worker = await start({ isolation, name: "math", env: { STEWARD_TEST: "here" } });
    t.equal(await worker.call("square", { n: 7 }), 49);
    t.equal(await worker.call("env"), "here");
    t.equal((await worker.call("pid")) === process.pid, isolation === "thread");
    t.equal(worker.pid === undefined, isolation === "thread");
    const bytes = new Uint8Array(1_000);
    t.equal(await worker.call("length", bytes, { transfer: [bytes.buffer] }), 1_000);
    t.equal(bytes.byteLength, isolation === "thread" ? 0 : 1_000, "a thread gets the memory, a process a copy");
    t.equal((await worker.call("bytes", 5)).length, 5);
    await t.rejects(worker.call("fail", "ours"), {
      code: "OVERLOADED",
      retryable: true,
      retryAfterMs: 5,
      publicMessage: "later",
      cause: { name: "RangeError", message: "inner", code: "E_INNER" },
    });
    await t.rejects(worker.call("fail", "text"), { message: "text" });
    await t.rejects(worker.call("unsendable"), { code: "WORKER_MESSAGE_REFUSED" });
    await t.rejects(worker.call("square", { n: (() => {}) as never }), {
      code: "WORKER_MESSAGE_REFUSED",
      message: /^math: the argument of square/,
    });
    await t.rejects(worker.call("nothing" as "env"), {
      code: "WORKER_MESSAGE_REFUSED",
      message: /no method "nothing": square, /,
    });
    await t.rejects(worker.call("constructor" as "env"), { code: "WORKER_MESSAGE_REFUSED" });
    t.match(worker.stats(), { inUse: 0, succeeded: 5, failed: 6 });
  });

  t.test(`a ${isolation} that ends fails what it works on, and what comes later`, async (t) => {
    const worker = await start({ isolation });
    const waiting = [worker.call("wait"), worker.call("wait")];
    const exit = worker.call("exit", 4);
    for (const call of [...waiting, exit])
      await t.rejects(call, { code: "WORKER_ENDED", retryable: true, message: /ended with code 4 with 3 calls in it/ });
    t.same((await worker.ended).code, 4);
    await t.rejects(worker.call("square", { n: 1 }), { code: "RESOURCE_UNAVAILABLE", message: /ended with code 4/ });
    await worker.close();
  });

  t.test(`a ${isolation} that does not become ready says why`, async (t) => {
    await t.rejects(start({ isolation, data: { start: "fail" } }), {
      code: "WORKER_START_FAILED",
      message: /no such file/,
      cause: { code: "OPTIONS_INVALID" },
    });
    if (isolation === "process") return; // the same from here on, and Node itself would print what it misses
    await t.rejects(start({ isolation, data: { start: "exit" } }), {
      code: "WORKER_START_FAILED",
      message: /ended with code 3 before it was ready/,
    });
    const hanging = { isolation, data: { start: "hang" }, interruptible: true };
    await t.rejects(start({ ...hanging, startTimeoutMs: 20 }), { code: "START_TIMEOUT" });
    await t.rejects(start({ ...hanging, signal: AbortSignal.abort() }), { code: "START_ABORTED" });
    const missing = { code: "WORKER_START_FAILED", message: /missing/ };
    await t.rejects(startWorker(new URL("./missing.js", module), { isolation }), missing);
  });
}

t.test("a call that is given up says so to its method; deadlines of call and request count", async (t) => {
  const shared = new Int32Array(new SharedArrayBuffer(12));
  await using worker = await start({ data: { shared } });
  const given = new AbortController();
  const call = worker.call("wait", undefined, { signal: given.signal });
  given.abort();
  await t.rejects(call, { code: "CALL_ABORTED" });
  await written(shared, 1);
  t.equal(shared[1], 7, "the method saw the abort, through memory that both share");
  await t.rejects(worker.call("wait", undefined, { timeoutMs: 5 }), { code: "DEADLINE_EXCEEDED" });
  await t.rejects(
    runWithContext({ deadline: systemClock.now() + 5 }, () => worker.call("wait")),
    { code: "DEADLINE_EXCEEDED", message: /no answer after/ },
  );
  await t.rejects(worker.call("wait", undefined, { timeoutMs: 0 }), { code: "DEADLINE_EXCEEDED" });
  t.equal(worker.stats().timedOut, 3);
});

t.test("a close waits for what runs, releases, and ends the thread", async (t) => {
  const shared = new Int32Array(new SharedArrayBuffer(12));
  const worker = await start({ data: { shared } });
  const call = worker.call("block", 30);
  const closing = worker.close();
  await t.rejects(worker.call("square", { n: 1 }), { code: "RESOURCE_UNAVAILABLE" });
  t.equal(await call, "blocked");
  await closing;
  t.equal((await worker.ended).code, 0);
  t.equal(shared[2], 9, "onClose ran");
});

for (const isolation of BOTH) {
  t.test(`what a module in a ${isolation} posts itself is not taken for an answer`, async (t) => {
    await using worker = await start({ isolation });
    for (const message of [null, 7, {}, { kind: "failed" }, { kind: "value" }, { kind: "error", id: 1 }])
      await worker.call("post", message);
    t.equal(await worker.call("square", { n: 3 }), 9);
  });

  t.test(`a call may be cancelled in a ${isolation} without being given up`, async (t) => {
    await using worker = await start({ isolation });
    const cancel = new AbortController();
    const context = { deadline: systemClock.now() + 10 };
    const waiting = runWithContext(context, () => worker.call("wait", undefined, { cancel: cancel.signal }));
    await systemClock.sleep(30);
    t.equal(worker.stats().inUse, 1, "the deadline of the request does not end it");
    cancel.abort();
    t.equal(await waiting, "aborted");
    t.equal(await worker.call("wait", undefined, { cancel: AbortSignal.abort() }), "aborted");
  });
}

t.test("a process whose data cannot be sent is ended", async (t) => {
  const children = () => process.getActiveResourcesInfo().filter((name) => name === "ProcessWrap").length;
  await t.rejects(startWorker(module, { isolation: "process", data: () => 1 }), { code: "WORKER_START_FAILED" });
  while (children() > 0) await systemClock.sleep(5);
});

t.test("a thread is cut off only where that is allowed; a process always can be", async (t) => {
  const shared = new Int32Array(new SharedArrayBuffer(12));
  const worker = await start({ data: { shared } });
  const call = worker.call("block", 150);
  await written(shared, 0);
  await t.rejects(worker.close({ timeoutMs: 10 }), { code: "STOP_TIMEOUT" });
  t.equal(shared[0], 1, "it still works");
  t.equal(await call, "blocked");
  await worker.ended;

  const cut = await start({ interruptible: true });
  const lost = cut.call("block", 60_000).catch((error: unknown) => error);
  await cut.close({ timeoutMs: 10 });
  t.match(await lost, { code: "WORKER_ENDED" });

  const child = await start({ isolation: "process" });
  const gone = child.call("block", 60_000).catch((error: unknown) => error);
  child.kill();
  t.match(await gone, { code: "WORKER_ENDED", message: /ended by SIGKILL/ });

  const kept = await start({ data: { shared: new Int32Array(new SharedArrayBuffer(12)) } });
  const given = kept.call("block", 50).catch((error: unknown) => error);
  await kept.call("square", { n: 1 }).catch(() => {});
  kept.kill();
  await given;
  await kept.ended;
});

t.test("an exit of the process waits for a thread that must not be cut off", (t) => {
  const program = `
    import { startWorker } from ${JSON.stringify(new URL("../src/worker/index.js", import.meta.url).href)};
    const shared = new Int32Array(new SharedArrayBuffer(12));
    const worker = await startWorker(new URL(${JSON.stringify(module.href)}), { data: { shared } });
    void worker.call("block", 200);
    await Atomics.waitAsync(shared, 0, 0).value;
    process.on("exit", () => console.log(shared[0]));
    process.exit(0);`;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  t.same([run.status, run.stdout.trim(), run.stderr], [0, "2", ""]);
  t.end();
});

t.test("a worker keeps a process alive only while it works, and ends with it", async (t) => {
  const program = (isolation: string): string => `
    import { startWorker } from ${JSON.stringify(new URL("../src/worker/index.js", import.meta.url).href)};
    const worker = await startWorker(new URL(${JSON.stringify(module.href)}), { data: {}, isolation: "${isolation}" });
    console.log(await worker.call("square", { n: 3 }), worker.pid ?? "");`;
  for (const isolation of BOTH) {
    const run = spawnSync(process.execPath, ["--input-type=module", "-e", program(isolation)], {
      encoding: "utf8",
      timeout: 20_000,
    });
    t.equal(run.status, 0);
    t.match(run.stdout, /^9/);
  }
  const killed = spawn(
    process.execPath,
    ["--input-type=module", "-e", `${program("process")} setInterval(() => {}, 1_000);`],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const [line] = (await once(killed.stdout, "data")) as [Buffer];
  const pid = Number(String(line).split(" ")[1]);
  killed.kill("SIGKILL");
  await gone(pid);
  t.pass("a process without the one that started it ends");
});

/** Waits until a thread has written to a place of shared memory. */
async function written(shared: Int32Array, at: number): Promise<void> {
  while (Atomics.load(shared, at) === 0) await new Promise((resolve) => setImmediate(resolve));
}

/** Waits until a process has ended. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

t.test("kill -9 at any moment leaves no call without an answer", async (t) => {
  for (let round = 0; round < 3; round++) {
    const worker = await start({ isolation: "process" });
    const calls = Array.from({ length: 20 }, (_, n) =>
      worker.call("square", { n }).then(
        () => 1,
        (error: { code?: string }) => (error.code === "WORKER_ENDED" ? 1 : 0),
      ),
    );
    process.kill(worker.pid ?? 0, "SIGKILL");
    t.same(await Promise.all(calls), new Array(20).fill(1));
    t.equal((await worker.ended).signal, "SIGKILL");
  }
});

t.test(
  "what a module says of its own, and memory that has moved already, leave no call without an answer",
  async (t) => {
    for (const isolation of BOTH) {
      await using worker = await start({ isolation });
      await worker.call("chatter");
      t.equal(await worker.call("square", { n: 3 }), 9, isolation);
    }
    await using thread = await start();
    const bytes = new Uint8Array(5);
    await thread.call("length", bytes, { transfer: [bytes.buffer] });
    const refused = { code: "WORKER_MESSAGE_REFUSED" };
    await t.rejects(thread.call("length", bytes, { transfer: [bytes.buffer], timeoutMs: 5_000 }), refused);
    await t.rejects(thread.call("movedTwice", undefined, { timeoutMs: 5_000 }), refused);
  },
);

t.test("options that are wrong are refused, and a worker's module is for workers", async (t) => {
  for (const wrong of [{ isolation: "fork" }, { interruptable: true }, { startTimeoutMs: 0 }, { maxHeapMb: 1 }])
    await t.rejects(start(wrong as never), { code: "OPTIONS_INVALID" });
  await t.rejects(startWorker("./work.js" as never), { code: "OPTIONS_INVALID", message: /must be a URL/ });
  await using worker = await start();
  await t.rejects(worker.call("square", { n: 1 }, { timeout: 1 } as never), { code: "OPTIONS_INVALID" });
  t.throws(() => worker.close({ timeout: 1 } as never), { code: "OPTIONS_INVALID" });
  await t.rejects(import(module.href), { code: "LIFECYCLE_CONFLICT" });
});
