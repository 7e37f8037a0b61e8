import { assertShape } from "@steward/core/driver";
import { ALERTS, type Severity } from "./alerts.ts";
import { ruleShape, type RuleOptions, type RuleSettings } from "./options.ts";

/** A rule of Prometheus. */
export interface PrometheusRule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: Severity };
  readonly annotations: { readonly summary: string; readonly description: string };
}

/** What a rule file holds. */
export interface RuleGroup {
  readonly name: string;
  readonly rules: readonly PrometheusRule[];
}

/**
 * Alert rules over the metrics of Steward, for Prometheus. The same with the defaults is `alerts/steward.rules.yml` of
 * this package.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { prometheusRules } from "@steward/telemetry/rules";
 * const { rules } = prometheusRules({ selector: 'job="clips"' });
 * console.log(rules[0]?.expr); // => dependency_health{job="clips"} == 0
 * ```
 */
export function prometheusRules(options: RuleOptions = {}): RuleGroup {
  assertShape("prometheusRules", ruleShape, options);
  const { selector = "", objective = 0.999, slowStartMs = 30_000 } = options;
  const settings: RuleSettings = { selector, objective, slowStartMs };
  const rules = Object.values(ALERTS).flat();
  return {
    name: "steward",
    rules: rules.map(({ name, severity, for: lasting, expression, summary, action }) => ({
      alert: name,
      expr: expression(settings),
      for: lasting,
      labels: { severity },
      annotations: { summary, description: action },
    })),
  };
}

/** The rules as a rule file of Prometheus. */
export function rulesText(options: RuleOptions = {}): string {
  return `${HEAD}groups:\n${groupText(prometheusRules(options), "  ")}`;
}

/** The rules as a `PrometheusRule`, for the operator of Prometheus in Kubernetes. */
export function wrappedRulesText(options: RuleOptions = {}): string {
  const head = [
    "apiVersion: monitoring.coreos.com/v1",
    "kind: PrometheusRule",
    "metadata:",
    "  name: steward",
    "spec:",
    "  groups:",
  ];
  return `${HEAD}${head.join("\n")}\n${groupText(prometheusRules(options), "    ")}`;
}

const HEAD = "# Made of the table of metrics of @steward/telemetry; `prometheusRules` makes it with other bounds.\n";

function groupText({ name, rules }: RuleGroup, indent: string): string {
  return [`- name: ${name}`, "  rules:", ...rules.flatMap(ruleLines)].map((line) => `${indent}${line}\n`).join("");
}

/** Strings in double quotes are JSON's in YAML; an expression stays as people read it. */
function ruleLines({ alert, expr, for: lasting, labels, annotations }: PrometheusRule): string[] {
  return [
    `    - alert: ${alert}`,
    "      expr: |-",
    ...expr.split("\n").map((line) => `        ${line}`),
    `      for: ${lasting}`,
    "      labels:",
    `        severity: ${labels.severity}`,
    "      annotations:",
    `        summary: ${JSON.stringify(annotations.summary)}`,
    `        description: ${JSON.stringify(annotations.description)}`,
  ];
}
