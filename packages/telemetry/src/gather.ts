import { StewardError, type HistogramValue, type MetricSample, type MetricsSource } from "@steward/core";
import { assertShape, describeError } from "@steward/core/driver";
import { METRICS } from "./metrics/metrics.ts";
import { readShape, type ReadOptions } from "./options.ts";
import { TimeSlice } from "./time-slice.ts";

/** A source of metrics, with the descriptions of those that are not Steward's own. */
export interface DescribedSource extends MetricsSource {
  /** What a metric says, by name. */
  readonly descriptions?: ReadonlyMap<string, string> | undefined;
}

/** One source, or several. */
export type Sources = DescribedSource | readonly DescribedSource[];

/** One series of a family. */
export interface Series {
  readonly attributes: Readonly<Record<string, string>>;
  value: number | HistogramValue;
}

/** All series of one metric. */
export interface Family {
  readonly name: string;
  readonly kind: MetricSample["kind"];
  readonly unit: string;
  /** Empty where it has no description. */
  readonly help: string;
  readonly series: Map<string, Series>;
}

/**
 * Reads sources in slices, so that many series never hold up the event loop. Series with the same name and attributes
 * are added up: a resource with several guards has one of each.
 */
export async function gather(sources: Sources, options: ReadOptions = {}): Promise<ReadonlyMap<string, Family>> {
  const gathering = new Gathering(options);
  const slice = new TimeSlice();
  for (const _sample of gathering.read(sources)) if (slice.isOver) await slice.rest();
  return gathering.families;
}

/** The same in one go, for the beginning of a process. */
export function gatherNow(sources: Sources, options: ReadOptions = {}): ReadonlyMap<string, Family> {
  const gathering = new Gathering(options);
  for (const _sample of gathering.read(sources));
  return gathering.families;
}

class Gathering {
  readonly families = new Map<string, Family>();
  readonly #options: ReadOptions;

  constructor(options: ReadOptions) {
    assertShape("metrics", readShape, options);
    this.#options = options;
  }

  /** Stops after each sample, so that the caller decides when to go on. */
  *read(sources: Sources): Generator<void> {
    for (const source of "metrics" in sources ? [sources] : sources)
      try {
        for (const sample of source.metrics()) yield this.#add(sample, source);
      } catch (error) {
        this.#report(
          new StewardError("TELEMETRY_SOURCE_FAILED", `a source of metrics failed: ${describeError(error)}`, {
            cause: error,
          }),
        );
      }
  }

  #add(sample: MetricSample, source: DescribedSource): void {
    const family = this.#familyOf(sample, source);
    if (family.kind !== sample.kind || family.unit !== sample.unit)
      return this.#conflict(
        `${sample.name} is a ${family.kind} in ${family.unit}, and elsewhere a ${sample.kind} in ${sample.unit}; rename one`,
      );
    const key = keyOf(sample.attributes);
    const series = family.series.get(key);
    if (series === undefined)
      return void family.series.set(key, { attributes: sample.attributes, value: sample.value });
    const sum = added(series.value, sample.value);
    if (sum === undefined) this.#conflict(`${sample.name} has different buckets in two sources; use the same bounds`);
    else series.value = sum;
  }

  #familyOf({ name, kind, unit }: MetricSample, source: DescribedSource): Family {
    const known = this.families.get(name);
    if (known !== undefined) return known;
    const help =
      source.descriptions?.get(name) ?? (Object.hasOwn(METRICS, name) ? METRICS[name]?.help : undefined) ?? "";
    const family = { name, kind, unit, help, series: new Map<string, Series>() };
    this.families.set(name, family);
    return family;
  }

  #conflict(message: string): void {
    this.#report(new StewardError("TELEMETRY_METRIC_CONFLICT", message));
  }

  #report(problem: StewardError): void {
    this.#options.onProblem?.(problem);
  }
}

/** Distinguishes attributes whatever their order. Separators cannot stand in names, and a value comes last. */
function keyOf(attributes: Readonly<Record<string, string>>): string {
  const names = Object.keys(attributes);
  if (names.length > 1) names.sort();
  let key = "";
  for (const name of names) {
    const value = attributes[name] ?? "";
    key += `${name}=${value.length}:${value},`;
  }
  return key;
}

function added(a: Series["value"], b: Series["value"]): Series["value"] | undefined {
  if (typeof a === "number") return typeof b === "number" ? a + b : undefined;
  if (
    typeof b === "number" ||
    a.bounds.length !== b.bounds.length ||
    a.bounds.some((bound, i) => bound !== b.bounds[i])
  )
    return undefined;
  return {
    bounds: a.bounds,
    counts: a.counts.map((count, i) => count + (b.counts[i] ?? 0)),
    sum: a.sum + b.sum,
    count: a.count + b.count,
  };
}

/**
 * The same source with more attributes on each of its series, to distinguish two containers of one process.
 *
 * @example
 * ```ts
 * import { Meter, prometheusText, withAttributes } from "@steward/telemetry";
 * const meter = new Meter();
 * meter.counter("uploads").add();
 * const lines: string[] = [];
 * for await (const text of prometheusText(withAttributes(meter, { service: "clips" }))) lines.push(...text.trim().split("\n"));
 * console.log(lines.at(-1)); // => uploads_total{service="clips"} 1
 * ```
 */
export function withAttributes(source: DescribedSource, attributes: Readonly<Record<string, string>>): DescribedSource {
  return {
    descriptions: source.descriptions,
    *metrics() {
      for (const sample of source.metrics()) yield { ...sample, attributes: { ...attributes, ...sample.attributes } };
    },
  };
}
