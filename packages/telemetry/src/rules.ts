export { dashboards, type GrafanaDashboard } from "./rules/dashboards.ts";
export { metricsTable } from "./rules/metrics-table.ts";
export type { RuleOptions } from "./rules/options.ts";
export { prometheusRules, rulesText, wrappedRulesText, type PrometheusRule, type RuleGroup } from "./rules/rules.ts";
