import { mkdtempSync, rmSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { DiskSpaceManager, EventLoopManager, MemoryUseManager } from "../src/checks/index.ts";
import { memoryLimit } from "../src/checks/memory-use.ts";
import { isStewardError } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";

const folder = mkdtempSync(join(tmpdir(), "checks-"));
t.teardown(() => rmSync(folder, { recursive: true }));

t.test("a disk is measured as processes without privileges see it", async (t) => {
  await using disk = await new DiskSpaceManager({ path: folder, minFreeShare: 0, minFreeInodes: 0 }).start();
  const { latest } = disk.client;
  const { bsize, blocks, bfree, bavail } = await statfs(folder);
  t.equal(latest.path, folder);
  t.equal(latest.totalBytes > 0 && latest.totalBytes <= blocks * bsize, true);
  const near = 0.01 * blocks * bsize; // other processes write meanwhile
  t.ok(Math.abs(latest.freeBytes - bavail * bsize) < near, "what only root may use is not free");
  t.ok(Math.abs(latest.totalBytes - (blocks - bfree + bavail) * bsize) < near);
  t.ok(Math.abs(latest.freeShare - latest.freeBytes / latest.totalBytes) < 1e-9);
  t.equal(disk.trouble, undefined);
  await disk.probe();
  t.match(disk.stats(), { phase: "ready", path: folder });
  t.match(disk.about, { path: folder });
});

t.test("a disk without enough room fails its probes with numbers, and is degraded before that", async (t) => {
  await using disk = await new DiskSpaceManager({ path: folder, minFreeBytes: Number.MAX_SAFE_INTEGER }).start();
  t.match(disk.trouble, { status: "degraded", reason: / free on .*checks-.* \(at least 9 PB\)/ });
  await t.rejects(disk.probe(), { code: "LIMIT_EXCEEDED", resource: "disk", message: /^disk: .* \(at least 9 PB\)$/ });
});

t.test("a warning alone degrades and fails no probe", async (t) => {
  await using disk = await new DiskSpaceManager({ path: folder, minFreeShare: 0, warnFreeShare: 1 }).start();
  t.match(disk.trouble, { status: "degraded", reason: /% of .* free \(at least 100 %\)/ });
  await disk.probe();
});

t.test("inodes are counted where the disk counts them", async (t) => {
  const options = { path: folder, minFreeShare: 0, minFreeInodes: Number.MAX_SAFE_INTEGER };
  await using disk = await new DiskSpaceManager(options).start();
  const refused = {
    code: "LIMIT_EXCEEDED",
    message: /\d+ inodes free on .* \(at least 9007199254740991\)/,
  };
  if (disk.client.latest.freeInodes === undefined) await t.resolves(disk.probe());
  else await t.rejects(disk.probe(), refused);
});

t.test("a path that is not there, and a filesystem without a size, fail the start", async (t) => {
  const missing = join(folder, "missing");
  await t.rejects(new DiskSpaceManager({ path: missing }).start(), {
    code: "MEASURE_FAILED",
    message: new RegExp(`disk: cannot measure the free space of ${missing}: ENOENT`),
  });
  if (process.platform === "linux")
    await t.rejects(new DiskSpaceManager({ path: "/proc" }).start(), {
      code: "MEASURE_FAILED",
      message: /has no size/,
    });
});

t.test("memory is held against its container or machine, and the heap against what V8 allows", async (t) => {
  await using memory = await new MemoryUseManager({ maxShare: 1, maxHeapShare: 1 }).start();
  const { rssBytes, limitBytes, share, heapBytes, heapLimitBytes, heapShare } = memory.client.latest;
  t.ok(rssBytes > 1e6 && limitBytes > rssBytes && heapBytes > 1e5 && heapLimitBytes > heapBytes);
  t.equal(share, rssBytes / limitBytes);
  t.equal(heapShare, heapBytes / heapLimitBytes);
  t.equal(memory.trouble, undefined);
  await memory.probe();
});

t.test("a limit of memory counts only where it is one", (t) => {
  t.equal(memoryLimit(0, 8e9), 8e9, "none is set");
  t.equal(memoryLimit(2 ** 64, 8e9), 8e9, "cgroup v1 without a limit");
  t.equal(memoryLimit(9e9, 8e9), 8e9, "more than the machine has");
  t.equal(memoryLimit(1e9, 8e9), 1e9);
  t.end();
});

t.test("too much memory fails probes; all reasons are in one sentence", async (t) => {
  await using memory = await new MemoryUseManager({ maxRssBytes: 1_000_000, maxHeapShare: 1e-6 }).start();
  t.match(memory.trouble, { status: "degraded" });
  await t.rejects(memory.probe(), {
    code: "LIMIT_EXCEEDED",
    message: /MB resident \(at most 1 MB\); .* of heap \(--max-old-space-size\) \(at most 0 %\)/,
  });
  await using near = await new MemoryUseManager({ maxRssBytes: 1e15, warnRssBytes: 1 }).start();
  t.match(near.trouble, { status: "degraded", reason: /at most 1 B/ });
  await near.probe();
});

t.test("an event loop that stood still is degraded; one that keeps doing so fails its probes", async (t) => {
  await using loop = await new EventLoopManager({ maxDelayMs: 60 }).start();
  const found = await afterBlocks(loop, 200);
  t.match(found.trouble, { status: "degraded" });
  t.ok(isStewardError(found.failure, "LIMIT_EXCEEDED"), "with nothing but long blocks");
  t.match(found.failure, { message: /^event-loop: 1 % of timers are \d+ ms late or more \(at most 60 ms\)$/ });
  t.ok(loop.client.latest.maxMs >= 100, "Node's first interval of 20 ms may lie in the block");
});

t.test("no block is lost between two readings", async (t) => {
  await using loop = await new EventLoopManager({ maxDelayMs: 60_000 }).start();
  await turns(3);
  await loop.probe(); // what is read is reset, and a histogram of Node misses what comes right after that
  block(300);
  await turns(3);
  await loop.probe();
  t.ok(loop.client.latest.maxMs >= 200, `${loop.client.latest.maxMs} ms`);
  t.equal(loop.trouble, undefined, "it is within its limit");
});

t.test("a stall that is over no longer counts after two probes", async (t) => {
  await using loop = await new EventLoopManager({ maxDelayMs: 60, warnDelayMs: 60 }).start();
  await afterBlocks(loop, 200);
  await loop.probe().catch(() => {});
  // The machine may keep the process waiting for as long, too.
  do {
    await turns(1);
    await loop.probe().catch(() => {});
  } while (loop.client.latest.maxMs >= 200);
  t.ok(loop.client.latest.maxMs < 200);
});

t.test("nothing is handed out before the start and after the stop", async (t) => {
  const memory = new MemoryUseManager();
  t.throws(() => memory.client.latest, { code: "RESOURCE_UNAVAILABLE" });
  t.strictSame([...memory.metrics()], []);
  await memory.start();
  t.ok(Object.isFrozen(memory.client.latest));
  t.strictSame(
    [...memory.metrics()].map(({ name }) => name),
    ["process.memory.usage", "steward.memory.limit", "steward.heap.usage", "steward.heap.limit"],
  );
  await memory.stop();
  t.throws(() => memory.client.latest, { code: "RESOURCE_UNAVAILABLE" });
  await using loop = await new EventLoopManager({}, { clock: new FakeClock() }).start();
  t.equal([...loop.metrics()].length, 4);
  await using disk = await new DiskSpaceManager({ path: folder }).start();
  t.ok([...disk.metrics()].length >= 2);
});

t.test("wrong options are refused with everything that is wrong", (t) => {
  t.throws(() => new DiskSpaceManager({ path: "", minFreeShare: 5, minFreeByte: 1 } as never), {
    code: "OPTIONS_INVALID",
    problems: [
      { path: "path" },
      { path: "minFreeShare" },
      { path: "minFreeByte", message: /did you mean "minFreeBytes"/ },
    ],
  });
  t.throws(
    () => new DiskSpaceManager({ path: ".", minFreeBytes: 2, warnFreeBytes: 1, minFreeShare: 0.2, warnFreeShare: 0.1 }),
    {
      code: "OPTIONS_INVALID",
      problems: [
        { path: "warnFreeBytes", message: "must be at least minFreeBytes" },
        { path: "warnFreeShare", message: "must be at least minFreeShare" },
      ],
    },
  );
  t.throws(() => new MemoryUseManager({ maxShare: 0.5, warnShare: 0.6 }), {
    code: "OPTIONS_INVALID",
    problems: [{ path: "warnShare", message: "must be at most maxShare" }],
  });
  t.throws(() => new EventLoopManager({ maxDelayMs: Number.NaN }), { code: "OPTIONS_INVALID" });
  t.end();
});

/** Blocks the loop in several turns, so that every look of Node's at it is late; then what a probe finds. */
async function afterBlocks(loop: EventLoopManager, ms: number) {
  for (let i = 0; i < 4; i++) {
    block(ms);
    await turns(1);
  }
  const failure: unknown = await loop.probe().catch((error: unknown) => error);
  return { failure, trouble: loop.trouble };
}

function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Turns of the event loop that are long enough for Node's own look at it, which is due every 20 ms. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setTimeout(resolve, 25));
}
