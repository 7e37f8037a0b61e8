import { closeSync, existsSync, openSync, readSync } from "node:fs";

const FILE = "/proc/thread-self/schedstat";

/** CPU of this thread alone in ms; where there is no such figure (not Linux), of the process. */
function threadClock(): { readonly now: () => number; readonly close: () => void } {
  const cpuMs = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  };
  if (!existsSync(FILE)) return { now: cpuMs, close: () => {} };
  const file = openSync(FILE, "r");
  const buffer = Buffer.alloc(64);
  return {
    now() {
      // The kernel writes this figure down at every tick of 4 ms; being asked for the usage makes it do so now.
      cpuMs();
      return Number(buffer.toString("latin1", 0, readSync(file, buffer, 0, 64, 0)).split(" ")[0]) / 1e6;
    },
    close: () => closeSync(file),
  };
}

/** The most that one round of the event loop took while something went on: a round is at least one turn. */
export interface Longest {
  readonly cpuMs: number;
  /** By the clock: a busy machine is in it. */
  readonly ms: number;
}

/** The longest round of the event loop while `work` runs. */
export async function longestTurn(work: () => Promise<unknown>): Promise<Longest> {
  const clock = threadClock();
  let [ms, cpuMs, running] = [0, 0, true];
  let [last, lastCpu] = [performance.now(), clock.now()];
  const look = (): void => {
    if (!running) return;
    [ms, cpuMs] = [Math.max(ms, performance.now() - last), Math.max(cpuMs, clock.now() - lastCpu)];
    [last, lastCpu] = [performance.now(), clock.now()];
    setImmediate(look);
  };
  setImmediate(look);
  await new Promise((resolve) => setImmediate(resolve));
  await work();
  await new Promise((resolve) => setImmediate(resolve));
  running = false;
  clock.close();
  return { ms, cpuMs };
}
