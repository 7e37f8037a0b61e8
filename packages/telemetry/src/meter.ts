import { StewardError, type MetricSample } from "@steward/core";
import { assertShape, Histogram } from "@steward/core/driver";
import type { DescribedSource } from "./gather.ts";
import {
  histogramShape,
  meterShape,
  metricShape,
  type HistogramOptions,
  type MeterOptions,
  type MetricOptions,
} from "./options.ts";

/** A number that only grows, with its attributes bound: adding allocates nothing. */
export class Counter {
  // A typed array, because a number in a field may be put on the heap anew with each change.
  readonly #value = new Float64Array(1);

  /** Adds `by`, 0 or more. Default 1. */
  add(by = 1): void {
    if (by > 0) this.#value[0] = (this.#value[0] as number) + by; // it has one element
  }

  /** The sum so far. */
  get value(): number {
    return this.#value[0] as number; // it has one element
  }
}

/** A number that goes up and down, with its attributes bound. */
export class Gauge {
  readonly #value = new Float64Array(1);

  /** Says what it is now. */
  set(value: number): void {
    this.#value[0] = value;
  }

  /** Adds `by`, which may be below 0. */
  add(by: number): void {
    this.#value[0] = (this.#value[0] as number) + by; // it has one element
  }

  /** What it is now. */
  get value(): number {
    return this.#value[0] as number; // it has one element
  }
}

type Recorder = Counter | Gauge | Histogram;

interface Metric {
  readonly kind: MetricSample["kind"];
  readonly unit: string;
  readonly bounds: string;
  readonly series: Map<string, { readonly attributes: Readonly<Record<string, string>>; readonly recorder: Recorder }>;
}

const NAME = /^[a-zA-Z_][a-zA-Z0-9_.]*$/;

/**
 * Metrics of your own. Ask for a recorder once, with its attributes, keep it, and record through it: that costs a
 * few ns and no allocation. Asking again for the same one gives the same one.
 *
 * @example
 * ```ts
 * import { Meter } from "@steward/telemetry";
 * const meter = new Meter();
 * const done = meter.counter("jobs", { attributes: { queue: "resize" }, help: "Jobs done." });
 * done.add();
 * console.log(done.value); // => 1
 * ```
 */
export class Meter implements DescribedSource {
  readonly #metrics = new Map<string, Metric>();
  readonly #descriptions = new Map<string, string>();
  readonly #maxSeries: number;
  #series = 0;

  constructor(options: MeterOptions = {}) {
    assertShape("meter", meterShape, options);
    this.#maxSeries = options.maxSeries ?? 2_000;
  }

  /** What the metrics say, by name. */
  get descriptions(): ReadonlyMap<string, string> {
    return this.#descriptions;
  }

  /**
   * A number that only grows.
   *
   * @throws {TELEMETRY_NAME_INVALID} @throws {TELEMETRY_METRIC_CONFLICT} when the name stands for another kind or unit.
   */
  counter(name: string, options: MetricOptions = {}): Counter {
    assertShape(name, metricShape, options);
    return this.#recorder(name, "counter", "", options, () => new Counter());
  }

  /**
   * A number that goes up and down.
   *
   * @throws {TELEMETRY_NAME_INVALID} @throws {TELEMETRY_METRIC_CONFLICT} when the name stands for another kind or unit.
   */
  gauge(name: string, options: MetricOptions = {}): Gauge {
    assertShape(name, metricShape, options);
    return this.#recorder(name, "gauge", "", options, () => new Gauge());
  }

  /**
   * Values by bucket, in s unless `unit` says otherwise.
   *
   * @throws {TELEMETRY_NAME_INVALID} @throws {TELEMETRY_METRIC_CONFLICT} when the name stands for another kind, unit or other bounds.
   */
  histogram(name: string, options: HistogramOptions = {}): Histogram {
    assertShape(name, histogramShape, options);
    const { bounds, unit = "s" } = options;
    return this.#recorder(name, "histogram", String(bounds), { ...options, unit }, () => new Histogram(bounds));
  }

  /** The current values. */
  *metrics(): Iterable<MetricSample> {
    for (const [name, { kind, unit, series }] of this.#metrics)
      for (const { attributes, recorder } of series.values())
        yield {
          name,
          kind,
          unit,
          attributes,
          value: recorder instanceof Histogram ? recorder.value() : recorder.value,
        };
  }

  #recorder<R extends Recorder>(
    name: string,
    kind: MetricSample["kind"],
    bounds: string,
    options: MetricOptions,
    make: () => R,
  ): R {
    const metric = this.#metric(name, kind, bounds, options);
    let { attributes = {} } = options;
    let key = keyOf(attributes);
    if (!metric.series.has(key) && this.#series >= this.#maxSeries) {
      attributes = { overflow: "true" };
      key = keyOf(attributes);
    }
    let entry = metric.series.get(key);
    if (entry === undefined) {
      for (const attribute of Object.keys(attributes)) if (!NAME.test(attribute)) throw invalidName(attribute);
      entry = { attributes: { ...attributes }, recorder: make() };
      metric.series.set(key, entry);
      this.#series++;
    }
    return entry.recorder as R; // a metric has recorders of one kind
  }

  #metric(name: string, kind: MetricSample["kind"], bounds: string, { help, unit = "1" }: MetricOptions): Metric {
    let metric = this.#metrics.get(name);
    if (metric === undefined) {
      if (!NAME.test(name)) throw invalidName(name);
      this.#metrics.set(name, (metric = { kind, unit, bounds, series: new Map() }));
    }
    if (metric.kind !== kind || metric.unit !== unit || metric.bounds !== bounds)
      throw new StewardError(
        "TELEMETRY_METRIC_CONFLICT",
        `${name} is a ${metric.kind} in ${metric.unit} already; give a ${kind} in ${unit} with other buckets another name`,
      );
    if (help !== undefined) this.#descriptions.set(name, help);
    return metric;
  }
}

function invalidName(name: string): StewardError {
  return new StewardError(
    "TELEMETRY_NAME_INVALID",
    `"${name}" is no name of a metric or attribute: letters, digits, "_" and "." only, and a letter or "_" first`,
  );
}

function keyOf(attributes: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)));
}
