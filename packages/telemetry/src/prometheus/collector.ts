import type { Metric, Registry } from "prom-client";
import { gather, gatherNow, type Family, type Series, type Sources } from "../gather.ts";
import type { ReadOptions } from "../options.ts";
import { labelName, prometheusName } from "./names.ts";

/**
 * Shows series in a registry of prom-client that you have already, until it is disposed.
 *
 * A metric that first appears later shows from the second scrape on. prom-client renders all of it in one go; where
 * you have hundreds of series, `metricsRoute` is the one that never holds up the event loop.
 */
export function collectInto(registry: Registry, sources: Sources, options: ReadOptions = {}): Disposable {
  const collection = new Collection(registry, sources, options);
  collection.register(gatherNow(sources, options));
  return collection;
}

/** Registers one metric for each name, all of which share one reading per scrape. */
class Collection implements Disposable {
  readonly #registry: Registry;
  readonly #sources: Sources;
  readonly #options: ReadOptions;
  readonly #registered = new Set<string>();
  #reading: Promise<ReadonlyMap<string, Family>> | undefined;
  #disposed = false;

  constructor(registry: Registry, sources: Sources, options: ReadOptions) {
    this.#registry = registry;
    this.#sources = sources;
    this.#options = options;
  }

  /** All metrics of a registry are asked in the same tick, so they share what the first one asked for. */
  #read(): Promise<ReadonlyMap<string, Family>> {
    this.#reading ??= this.#readNow().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #readNow(): Promise<ReadonlyMap<string, Family>> {
    return this.register(await gather(this.#sources, this.#options));
  }

  /** Registers what is new; gives the families by the names that Prometheus knows. */
  register(gathered: ReadonlyMap<string, Family>): ReadonlyMap<string, Family> {
    const families = new Map(
      [...gathered.values()].map((family) => [prometheusName(family.name, family.kind, family.unit), family]),
    );
    for (const [name, family] of families) this.#register(name, family);
    return families;
  }

  #register(name: string, { help, kind }: Family): void {
    if (this.#disposed || this.#registered.has(name) || this.#registry.getSingleMetric(name) !== undefined) return;
    this.#registered.add(name);
    const metric = {
      name,
      help,
      type: kind,
      aggregator: "sum",
      collect: () => {},
      reset: () => {},
      get: async () => ({
        name: metric.name,
        help,
        type: kind,
        aggregator: "sum",
        values: valuesOf(name, (await this.#read()).get(name)),
      }),
    };
    // prom-client asks a metric for no more than this; its types name only its own classes.
    this.#registry.registerMetric(metric as unknown as Metric);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const name of this.#registered) this.#registry.removeSingleMetric(name);
  }
}

interface Value {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

function valuesOf(name: string, family: Family | undefined): Value[] {
  return family === undefined ? [] : [...family.series.values()].flatMap((series) => valuesOfSeries(name, series));
}

function valuesOfSeries(name: string, { attributes, value }: Series): Value[] {
  const labels = Object.fromEntries(
    Object.entries(attributes).map(([attribute, text]) => [labelName(attribute), text]),
  );
  if (typeof value === "number") return [{ labels, value }];
  let below = 0;
  const buckets = value.bounds.map((bound, i) => ({
    metricName: `${name}_bucket`,
    labels: { ...labels, le: bound },
    value: (below += value.counts[i] ?? 0),
  }));
  return [
    ...buckets,
    { metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: value.count },
    { metricName: `${name}_sum`, labels, value: value.sum },
    { metricName: `${name}_count`, labels, value: value.count },
  ];
}
