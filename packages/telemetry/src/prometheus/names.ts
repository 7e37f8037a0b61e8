const SUFFIXES: Readonly<Record<string, string>> = { s: "_seconds", ms: "_milliseconds", By: "_bytes" };

/**
 * The name that Prometheus knows a metric by, as OpenTelemetry's rules make it: `.` becomes `_`, the unit and, for
 * counters, `total` come last, unless they stand there already. Units in braces and `1` add nothing.
 */
export function prometheusName(name: string, kind: "counter" | "gauge" | "histogram", unit: string): string {
  const suffix = SUFFIXES[unit] ?? "";
  let base = name.replaceAll(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=\d)/, "_");
  if (kind === "counter" && base.endsWith("_total")) base = base.slice(0, -"_total".length);
  if (!base.endsWith(suffix)) base += suffix;
  return kind === "counter" ? `${base}_total` : base;
}

/** The name of a label for an attribute: `.` becomes `_`. */
export function labelName(attribute: string): string {
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(attribute)
    ? attribute
    : attribute.replaceAll(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=\d)/, "_");
}
