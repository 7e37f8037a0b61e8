import { constants, performance, PerformanceObserver, type PerformanceEntry } from "node:perf_hooks";
import type { MetricSample } from "@steward/core";
import { Histogram } from "@steward/core/driver";
import type { DescribedSource } from "./gather.ts";

/** In s; those of prom-client are among them. */
const PAUSE_BOUNDS: readonly number[] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5];
/** For how long pauses are counted after a reading, in ms: some scrapers come once a minute, and one may fail. */
const COUNTED_FOR_MS = 300_000;

const { NODE_PERFORMANCE_GC_MAJOR: MAJOR, NODE_PERFORMANCE_GC_INCREMENTAL: INCREMENTAL } = constants;
const { NODE_PERFORMANCE_GC_WEAKCB: WEAK_CALLBACKS } = constants;

interface Collection extends PerformanceEntry {
  readonly detail: { readonly kind: number };
}

type Kind = "minor" | "major" | "incremental" | "weakcb";

/** V8 has a second kind of minor collection, which Node has no name for. */
function kindOf(entry: PerformanceEntry): Kind {
  const { kind } = (entry as Collection).detail; // what Node gives for entries of `gc`
  return kind === MAJOR ? "major" : kind === INCREMENTAL ? "incremental" : kind === WEAK_CALLBACKS ? "weakcb" : "minor";
}

class ProcessMetrics implements DescribedSource {
  readonly #pauses: Readonly<Record<Kind, Histogram>> = {
    minor: new Histogram(PAUSE_BOUNDS),
    major: new Histogram(PAUSE_BOUNDS),
    incremental: new Histogram(PAUSE_BOUNDS),
    weakcb: new Histogram(PAUSE_BOUNDS),
  };
  readonly #observer = new PerformanceObserver((list) => this.#count(list.getEntries()));
  #isObserving = false;
  #readAt = 0;

  *metrics(): Iterable<MetricSample> {
    this.#readAt = performance.now();
    if (!this.#isObserving) this.#observer.observe({ entryTypes: ["gc"] });
    this.#isObserving = true;
    const { user, system } = process.cpuUsage();
    const time = { unit: "s", attributes: {} } as const;
    yield { name: "process_cpu_user_seconds_total", kind: "counter", ...time, value: user / 1e6 };
    yield { name: "process_cpu_system_seconds_total", kind: "counter", ...time, value: system / 1e6 };
    yield { name: "process_cpu_seconds_total", kind: "counter", ...time, value: (user + system) / 1e6 };
    for (const [kind, pauses] of Object.entries(this.#pauses))
      yield {
        name: "nodejs_gc_duration_seconds",
        kind: "histogram",
        unit: "s",
        attributes: { kind },
        value: pauses.value(),
      };
  }

  /** There is no timer: a collection that comes long after the last reading ends the watch. */
  #count(entries: readonly PerformanceEntry[]): void {
    for (const entry of entries) this.#pauses[kindOf(entry)].record(entry.duration / 1_000);
    if (performance.now() - this.#readAt <= COUNTED_FOR_MS) return;
    this.#observer.disconnect();
    this.#isObserving = false;
  }
}

let source: DescribedSource | undefined;

/**
 * CPU time of this process and pauses for garbage collection, by the names that prom-client has for them. It is one
 * source for the whole process: give it to an exporter once.
 *
 * Pauses are counted from the first reading on until five minutes after the last one; before and after, nothing is
 * subscribed. While they are counted, each collection costs about 0.1 ms of CPU.
 *
 * @example
 * ```ts
 * import { processMetrics, prometheusText } from "@steward/telemetry";
 * let text = "";
 * for await (const part of prometheusText(processMetrics())) text += part;
 * console.log(/^process_cpu_seconds_total \d/m.test(text)); // => true
 * ```
 */
export function processMetrics(): DescribedSource {
  return (source ??= new ProcessMetrics());
}
