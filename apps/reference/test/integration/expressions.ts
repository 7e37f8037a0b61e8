import { METRICS, prometheusName } from "@steward/telemetry";
import { dashboards, prometheusRules } from "@steward/telemetry/rules";

/** Labels that Prometheus itself adds. */
const OF_PROMETHEUS = new Set(["job", "instance", "le"]);
/** Words of the language that stand where a series could. */
const WORDS = new Set(["by", "on", "and", "or", "unless", "absent"]);

/** Series of a scrape by their name, each with the labels that it was seen with. */
function scraped(text: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const [, name = "", labels = ""] of text.matchAll(/^([a-z]\w*)(?:\{(.*)\})? \S+$/gim)) {
    const known = found.get(name) ?? new Set();
    for (const [, label = ""] of labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)) known.add(label);
    found.set(name, known);
  }
  return found;
}

/** The series and labels that an expression of PromQL asks for. */
function askedFor(expr: string): { readonly series: readonly string[]; readonly labels: readonly string[] } {
  const bare = expr.replaceAll(/"[^"]*"/g, '""');
  const matched = [...bare.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*""/g)].map(([, label = ""]) => label);
  const grouped = [...bare.matchAll(/\b(?:by|on)\s*\(([^)]*)\)/g)].flatMap(([, inside = ""]) => inside.split(","));
  const rest = bare.replaceAll(/\b(?:by|on)\s*\([^)]*\)|\{[^}]*\}|\[[^\]]*\]/g, " ");
  const series = [...rest.matchAll(/\b([a-z_]\w*)\b(?!\s*\()/gi)].map(([, name = ""]) => name);
  return {
    series: series.filter((name) => !WORDS.has(name)),
    labels: [...matched, ...grouped.map((label) => label.trim())].filter((label) => !OF_PROMETHEUS.has(label)),
  };
}

/** Every expression of the rules, and of the panels and choices of the dashboards. */
function expressions(): string[] {
  const rules = prometheusRules().rules.map(({ expr }) => expr);
  const boards = Object.values(dashboards());
  const panels = boards.flatMap(({ panels }) =>
    panels.flatMap(({ targets }) => (targets as { expr: string }[]).map(({ expr }) => expr)),
  );
  const choices = boards.flatMap(({ templating }) =>
    (templating as { list: { query: string }[] }).list.flatMap(({ query }) =>
      [...query.matchAll(/^label_values\((.*), (\w+)\)$/g)].map(([, series, label]) => `max by (${label}) (${series})`),
    ),
  );
  return [...rules, ...panels, ...choices];
}

/** What rules and dashboards ask for that a scrape has not, and what it has that the table of metrics does not know. */
export function compareWith(text: string): {
  readonly missing: readonly string[];
  readonly unknown: readonly string[];
  readonly seen: number;
} {
  const found = scraped(text);
  const all = expressions();
  const missing = all.flatMap((expr) => {
    const { series, labels } = askedFor(expr);
    if (series.length === 0) return [`${expr}: no series was read`];
    return [
      ...series.filter((name) => !found.has(name)).map((name) => `${expr}: ${name}`),
      ...labels
        .filter((label) => !series.some((name) => found.get(name)?.has(label) === true))
        .map((label) => `${expr}: label ${label}`),
    ];
  });
  const known = new Map(
    Object.entries(METRICS).flatMap(([name, { kind, unit, labels }]) => {
      const base = prometheusName(name, kind, unit);
      const own = new Set(labels.map((label) => label.replaceAll(".", "_")));
      if (kind !== "histogram") return [[base, own] as const];
      return ["_bucket", "_sum", "_count"].map((part) => [`${base}${part}`, new Set([...own, "le"])] as const);
    }),
  );
  const unknown = [...found].flatMap(([name, labels]) =>
    [...labels, ""]
      .filter((label) => known.get(name)?.has(label) !== true && !(label === "" && known.has(name)))
      .map((label) => `${name}{${label}}`),
  );
  return { missing, unknown, seen: all.length };
}
