import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import t from "tap";
import { Manager } from "../src/driver.ts";
import { Guard } from "../src/index.ts";
import { FakeClock } from "../src/testing.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as (options?: { readonly type: "minor" | "major" }) => void;

/** The runner notes every timer of Node, and with it what has set it. */
const clock = new FakeClock();

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Simple extends Manager<object> {
  override readonly client = {};
  /** What the start was handed. */
  signal: WeakRef<AbortSignal> | undefined;

  protected override onStart(signal: AbortSignal): void {
    this.signal = new WeakRef(signal);
  }
  protected override onProbe(): void {}
  protected override onDrain(): void {}
  protected override onStop(): void {}
}

/** Made beforehand: an error keeps the frames that it was made in until its stack is read. */
const NO = new Error("no");

class Failing extends Simple {
  protected override onStart(signal: AbortSignal): void {
    super.onStart(signal);
    throw NO;
  }
}

t.test("a manager that is up, or whose start failed, keeps nothing of that start", async (t) => {
  const up = new Simple("up", { clock });
  const failed = new Failing("failed", { clock });
  await up.start();
  await t.rejects(failed.start(), { message: "no" });
  for (let i = 0; i < 3; i++) {
    await turn(); // until the end of a job, a WeakRef keeps what it refers to
    collect();
  }
  t.equal(up.signal?.deref() === undefined, true, "up");
  t.equal(failed.signal?.deref() === undefined, true, "failed");
  await up.stop();
});

/** What is kept by `count` pieces of work, each with 40 kB, after collections of young objects alone: one in full comes seldom. */
async function keptByYoung(count: number, work: (load: number[]) => Promise<unknown>): Promise<number> {
  const settle = async (): Promise<number> => {
    for (let i = 0; i < 3; i++) {
      await turn();
      collect({ type: "minor" });
    }
    return process.memoryUsage().heapUsed;
  };
  for (let i = 0; i < 20; i++) await work([]);
  collect();
  const before = await settle();
  for (let i = 0; i < count; i++) await work(new Array<number>(5_000).fill(i));
  return (await settle()) - before;
}

t.test("a call with a signal is gone with the next collection of young objects", async (t) => {
  const guard = new Guard({ resource: "guarded", clock, timeoutMs: 1_000 });
  const kept = await keptByYoung(100, async (load) => {
    const { signal } = new AbortController();
    await guard.run(async () => load.length, { signal });
  });
  t.comment(`${kept} bytes`);
  t.ok(kept < 1_000_000, `${kept} bytes of 4,000,000`);
});
