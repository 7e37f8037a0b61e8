import type { HistogramValue } from "@steward/core";
import { gather, type Family, type Series, type Sources } from "../gather.ts";
import type { ReadOptions } from "../options.ts";
import { TimeSlice } from "../time-slice.ts";
import { labelName, prometheusName } from "./names.ts";

/** Characters after which a part of the text is handed out. */
const PART_LENGTH = 16_384;

/**
 * The current series in the text format of Prometheus (0.0.4), part by part. It never works for more than a few ms
 * without letting the event loop turn, however many series there are.
 *
 * @example
 * ```ts
 * import { Meter, prometheusText } from "@steward/telemetry";
 * const meter = new Meter();
 * meter.counter("jobs", { help: "Jobs done." }).add(3);
 * let text = "";
 * for await (const part of prometheusText(meter)) text += part;
 * console.log(text.split("\n")[2]); // => jobs_total 3
 * ```
 */
export async function* prometheusText(
  sources: Sources,
  options: ReadOptions = {},
): AsyncGenerator<string, void, undefined> {
  const families = await gather(sources, options);
  const slice = new TimeSlice();
  let part = "";
  for (const family of families.values()) {
    const name = prometheusName(family.name, family.kind, family.unit);
    part += headOf(name, family);
    for (const series of family.series.values()) {
      part += linesOf(name, series);
      if (part.length >= PART_LENGTH) {
        yield part;
        part = "";
      }
      if (slice.isOver) await slice.rest();
    }
  }
  if (part !== "") yield part;
}

function headOf(name: string, { help, kind }: Family): string {
  const words = help === "" ? "" : `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n`;
  return `${words}# TYPE ${name} ${kind}\n`;
}

function linesOf(name: string, { attributes, value }: Series): string {
  const labels = labelsOf(attributes);
  if (typeof value !== "number") return histogramLines(name, labels, value);
  return `${name}${labels === "" ? "" : `{${labels}}`} ${numberText(value)}\n`;
}

function histogramLines(name: string, labels: string, { bounds, counts, sum, count }: HistogramValue): string {
  const start = `${name}_bucket{${labels}${labels === "" ? "" : ","}le="`;
  let lines = "";
  let below = 0;
  for (let i = 0; i < bounds.length; i++) {
    below += counts[i] ?? 0;
    lines += `${start}${bounds[i]}"} ${below}\n`;
  }
  const braces = labels === "" ? "" : `{${labels}}`;
  return `${lines}${start}+Inf"} ${count}\n${name}_sum${braces} ${numberText(sum)}\n${name}_count${braces} ${count}\n`;
}

function labelsOf(attributes: Readonly<Record<string, string>>): string {
  let labels = "";
  for (const name of Object.keys(attributes))
    labels += `${labels === "" ? "" : ","}${labelName(name)}="${escaped(attributes[name] ?? "")}"`;
  return labels;
}

function escaped(value: string): string {
  return /["\\\n]/.test(value) ? value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n") : value;
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
