import { labelName } from "../prometheus/names.ts";
import { PANELS, type DashboardName, type Panel } from "./panels.ts";
import { rowOf, selected, type SeriesPart } from "./series.ts";

/** A dashboard of Grafana, as it is imported. */
export interface GrafanaDashboard {
  readonly title: string;
  readonly uid: string;
  readonly panels: readonly Readonly<Record<string, unknown>>[];
  readonly [key: string]: unknown;
}

const TITLES: Readonly<Record<DashboardName, string>> = {
  overview: "Steward: overview",
  resource: "Steward: resource",
  rollout: "Steward: rollout",
};

const WIDTH = 8;
const HEIGHT = 7;
const PER_ROW = 3;
const SOURCE = { type: "prometheus", uid: "${datasource}" };
const REPLICAS = 'job=~"$job", instance=~"$instance"';

/** Units of UCUM that Grafana has another word for; a rate of anything counted is one per second, and one of seconds a share. */
const UNITS: Readonly<Record<string, string>> = { s: "s", By: "bytes", "1": "none" };

/**
 * Dashboards for Grafana over the metrics of Steward: an overview, one of a resource by its name, and one that compares
 * replicas while a new version comes. They are the files in `dashboards/` of this package.
 *
 * @example
 * ```ts
 * import { dashboards } from "@steward/telemetry/rules";
 * console.log(Object.keys(dashboards())); // => [ 'overview', 'resource', 'rollout' ]
 * ```
 */
export function dashboards(): Readonly<Record<DashboardName, GrafanaDashboard>> {
  return { overview: dashboard("overview"), resource: dashboard("resource"), rollout: dashboard("rollout") };
}

function dashboard(name: DashboardName): GrafanaDashboard {
  const drawn = Object.entries(PANELS).flatMap(([metric, panels]) =>
    panels.filter(({ on }) => on === name).map((panel) => ({ metric, panel })),
  );
  return {
    title: TITLES[name],
    uid: `steward-${name}`,
    tags: ["steward"],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    templating: { list: variables(name) },
    panels: drawn.map(({ metric, panel }, at) => drawing(metric, panel, at)),
  };
}

/** What can be chosen: where the data is, which job, which replicas, and which resource. */
function variables(name: DashboardName): object[] {
  const source = { name: "datasource", type: "datasource", query: "prometheus", label: "Data source" };
  const values = (label: string, matchers: string): object => ({
    name: label,
    type: "query",
    datasource: SOURCE,
    query: `label_values(${selected("dependency_health", [matchers])}, ${label})`,
    refresh: 2,
    sort: 1,
    includeAll: label !== "resource",
    multi: label !== "resource",
    ...(label === "resource" ? {} : { current: { text: "All", value: "$__all" } }),
  });
  const common = [source, values("job", ""), values("instance", 'job=~"$job"')];
  return name === "resource" ? [...common, values("resource", REPLICAS)] : common;
}

function drawing(metric: string, panel: Panel, at: number): Readonly<Record<string, unknown>> {
  const { kind, unit, help } = rowOf(metric);
  const isRate = kind === "counter" || panel.counts === true;
  const isShare = metric.endsWith("_ratio") || panel.spent === true || (isRate && unit === "s" && kind === "counter");
  const shown = isShare ? "percentunit" : isRate ? "cps" : (UNITS[unit] ?? "short");
  return {
    id: at + 1,
    type: "timeseries",
    title: panel.title,
    description: help,
    datasource: SOURCE,
    gridPos: { x: (at % PER_ROW) * WIDTH, y: Math.floor(at / PER_ROW) * HEIGHT, w: WIDTH, h: HEIGHT },
    fieldConfig: { defaults: { unit: shown, min: 0 }, overrides: [] },
    options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi", sort: "desc" } },
    targets: queries(metric, panel).map((query, i) => ({ refId: "ABC"[i], datasource: SOURCE, ...query })),
  };
}

interface Query {
  readonly expr: string;
  readonly legendFormat: string;
}

function queries(metric: string, panel: Panel): Query[] {
  const { kind, labels: own } = rowOf(metric);
  const { on, by = own, where = "", take = "max", counts = false, spent = false } = panel;
  const labels = by.map(labelName);
  const matchers = [where, ...(on === "resource" ? ['resource="$resource"'] : []), REPLICAS];
  const legendFormat = labels.map((label) => `{{${label}}}`).join(" ");
  const rate = (part: SeriesPart = ""): string => `rate(${selected(metric, matchers, part)}[$__rate_interval])`;
  if (kind === "gauge")
    return [{ expr: `${take} by (${labels.join(", ")}) (${selected(metric, matchers)})`, legendFormat }];
  const sum = `sum by (${labels.join(", ")})`;
  if (kind === "counter") return [{ expr: `${sum} (${rate()})`, legendFormat }];
  if (spent) return [{ expr: `${sum} (${rate("_sum")})`, legendFormat }];
  if (counts) return [{ expr: `${sum} (${rate("_count")})`, legendFormat }];
  return [0.5, 0.95, 0.99].map((share) => ({
    expr: `histogram_quantile(${share}, sum by (${["le", ...labels].join(", ")}) (${rate("_bucket")}))`,
    legendFormat: `${legendFormat} p${share * 100}`,
  }));
}
