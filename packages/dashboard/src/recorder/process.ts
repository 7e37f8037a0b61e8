import { PerformanceObserver, monitorEventLoopDelay, performance, type IntervalHistogram } from "node:perf_hooks";
import { availableParallelism } from "node:os";

/** How the process is. */
export interface ProcessView {
  readonly pid: number;
  readonly node: string;
  /** Of the process, in s. */
  readonly uptimeS: number;
  /** How late timers were at most, in 99 % and in half of the measurements since the last reading, in ms. */
  readonly loopDelayMs: { readonly max: number; readonly p99: number; readonly p50: number };
  /** Share of time in which the event loop was busy since the last reading, 0 to 1. */
  readonly loopUtilisation: number;
  /** CPU time used over time passed since the last reading: 1 is one core. */
  readonly cpu: number;
  readonly cores: number;
  readonly heapUsedBytes: number;
  readonly heapTotalBytes: number;
  readonly externalBytes: number;
  readonly rssBytes: number;
  /** Share of time spent on collecting garbage since the last reading, 0 to 1. */
  readonly gcShare: number;
  /** Things that hold the process open, by kind: sockets, timers, servers. */
  readonly handles: Readonly<Record<string, number>>;
}

/** Time between two looks at the event loop: each costs the process a turn, also one that would sleep. */
const RESOLUTION_MS = 40;

/** Reads how the process is, from `open` to `close`. */
export class ProcessMeter {
  #delays: IntervalHistogram | undefined;
  #collections: PerformanceObserver | undefined;
  #gcMs = 0;
  #cpu = process.cpuUsage();
  #loop = performance.eventLoopUtilization();
  #at = performance.now();

  open(): void {
    this.#delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#delays.enable();
    this.#collections = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) this.#gcMs += duration;
    });
    this.#collections.observe({ entryTypes: ["gc"] });
    this.#begin();
  }

  close(): void {
    this.#delays?.disable();
    this.#collections?.disconnect();
    this.#delays = undefined;
    this.#collections = undefined;
  }

  /** Since the last reading; the next interval begins with it. */
  read(): ProcessView {
    const passedMs = Math.max(1, performance.now() - this.#at);
    const cpu = process.cpuUsage();
    const usedUs = cpu.user - this.#cpu.user + cpu.system - this.#cpu.system;
    const { heapUsed, heapTotal, external, rss } = process.memoryUsage();
    const view: ProcessView = {
      pid: process.pid,
      node: process.version,
      uptimeS: Math.round(process.uptime()),
      loopDelayMs: this.#loopDelay(),
      loopUtilisation: short(performance.eventLoopUtilization(this.#loop).utilization),
      cpu: short(usedUs / 1_000 / passedMs),
      cores: availableParallelism(),
      heapUsedBytes: heapUsed,
      heapTotalBytes: heapTotal,
      externalBytes: external,
      rssBytes: rss,
      gcShare: short(this.#gcMs / passedMs),
      handles: handleCounts(),
    };
    this.#begin(cpu);
    return view;
  }

  #begin(cpu: NodeJS.CpuUsage = process.cpuUsage()): void {
    this.#delays?.reset();
    this.#gcMs = 0;
    this.#cpu = cpu;
    this.#loop = performance.eventLoopUtilization();
    this.#at = performance.now();
  }

  /** The histogram counts the interval of its own timer too. */
  #loopDelay(): ProcessView["loopDelayMs"] {
    const delays = this.#delays;
    if (delays === undefined || delays.count === 0) return { max: 0, p99: 0, p50: 0 };
    const late = (ns: number): number => short(Math.max(0, ns / 1e6 - RESOLUTION_MS));
    return { max: late(delays.max), p99: late(delays.percentile(99)), p50: late(delays.percentile(50)) };
  }
}

function handleCounts(): Record<string, number> {
  const counts: Record<string, number> = Object.create(null) as Record<string, number>; // names of kinds are its keys
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

function short(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
