import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { METRICS, prometheusName } from "../src/index.ts";
import { dashboards, metricsTable, prometheusRules, rulesText, wrappedRulesText } from "../src/rules.ts";
import { promtool, skip } from "./promtool.ts";

const packageFile = (path: string): string => readFileSync(join(process.cwd(), path), "utf8");

/** Series at one value a minute, in promtool's notation: `1x10` is 1 and ten more of it. */
type Given = Readonly<Record<string, string>>;

/** What makes an alert fire, who it names, and what it looks like when all is well. */
interface Scene {
  readonly fires: Given;
  readonly labels: Readonly<Record<string, string>>;
  readonly says: string;
  readonly quiet: Given;
  /** When both are looked at. Default 10m. */
  readonly at?: string;
}

const ON = 'job="clips", instance="a", resource="db"';
const REPLICA = { job: "clips", instance: "a", resource: "db" };
/** The health of a resource on a replica. */
const health = (instance: string, resource = "db", criticality = "critical"): string =>
  `dependency_health{job="clips", instance="${instance}", resource="${resource}", criticality="${criticality}"}`;
const answered = (status: number): string =>
  `http_server_request_duration_seconds_count{job="clips", http_response_status_code="${status}"}`;

const SCENES: Readonly<Record<string, Scene>> = {
  StewardUnhealthy: {
    fires: { [health("a")]: "1x7 0x3", [health("b")]: "1x20" },
    labels: { ...REPLICA, criticality: "critical" },
    says: "db on a is unhealthy",
    quiet: { [health("a")]: "1x7 0 0.5x5", [health("b")]: "1x7 _x5" }, // the second one starts anew
  },
  StewardUnhealthyEverywhere: {
    fires: { [health("a")]: "0x20", [health("b")]: "0x20" },
    labels: { job: "clips", resource: "db" },
    says: "db is unhealthy on every replica of clips",
    quiet: { [health("a")]: "0x20", [health("b")]: "1x20" },
  },
  StewardAbsent: {
    fires: { up: "1x20" },
    labels: {},
    says: "No replica shows the health of any resource",
    quiet: { [health("a")]: "0x20" },
  },
  StewardBreakerOpen: {
    fires: { [`dependency_circuit_open{${ON}}`]: "0x8 1x5" },
    labels: REPLICA,
    says: "db on a has been refusing calls for over a minute",
    quiet: { [`dependency_circuit_open{${ON}}`]: "0x9 1x5" },
  },
  StewardPoolFull: {
    fires: { [`dependency_pending{${ON}}`]: "3x20", [`dependency_utilisation_ratio{${ON}}`]: "1x20" },
    labels: REPLICA,
    says: "3 calls wait for db on a, all places of which are taken",
    quiet: { [`dependency_pending{${ON}}`]: "3x20", [`dependency_utilisation_ratio{${ON}}`]: "0.9x20" },
  },
  StewardErrorBudgetFast: {
    fires: { [answered(200)]: "0+98x70", [answered(503)]: "0+2x70" },
    labels: { job: "clips" },
    says: "2% of the requests to clips fail",
    quiet: { [answered(200)]: "0+99x70", [answered(404)]: "0+20x70", [answered(503)]: "0+1x70" },
    at: "65m",
  },
  StewardErrorBudgetSlow: {
    fires: { [answered(200)]: "0+99x80", [answered(500)]: "0+1x80" },
    labels: { job: "clips" },
    says: "1% of the requests to clips have failed for hours",
    quiet: { [answered(200)]: "0+99x80", [answered(500)]: "0+1x40 40x40" }, // it was bad for hours, and is well again
    at: "75m",
  },
  StewardLeaseOverdue: {
    fires: { [`steward_database_overdue_leases{${ON}}`]: "0x5 2x10" },
    labels: REPLICA,
    says: "2 connections of db on a are held for too long",
    quiet: { [`steward_database_overdue_leases{${ON}}`]: "0x5 2 0x10" },
  },
  StewardRestarting: {
    fires: { [`resource_uptime_seconds{${ON}}`]: "60 120 0 60 0 60 0 60 0 60 120" },
    labels: REPLICA,
    says: "db on a has started 4 times more in 15 minutes",
    quiet: { [`resource_uptime_seconds{${ON}}`]: "60 120 0 60 120 180 240 300 0 60 120" },
  },
  StewardSlowStart: {
    fires: { [`resource_start_duration_seconds{${ON}}`]: "45x20" },
    labels: REPLICA,
    says: "db on a took 45s to start",
    quiet: { [`resource_start_duration_seconds{${ON}}`]: "30x20" },
  },
  StewardConfigRefused: {
    fires: { [`steward_config_reloads_total{${ON}, outcome="refused"}`]: "0x5 1x10" },
    labels: { ...REPLICA, outcome: "refused" },
    says: "A change of db on a was refused; the settings of before stay in use",
    quiet: { [`steward_config_reloads_total{${ON}, outcome="changed"}`]: "0x5 1x10" },
  },
};

/** A test of promtool for each scene, where `fires` or not. */
function promtoolTests(fires: boolean) {
  return Object.entries(SCENES).map(([alertname, scene]) => {
    const rule = prometheusRules().rules.find(({ alert }) => alert === alertname);
    const firing = {
      exp_labels: { ...rule?.labels, ...scene.labels },
      exp_annotations: { ...rule?.annotations, summary: scene.says },
    };
    const given = Object.entries(fires ? scene.fires : scene.quiet);
    return {
      name: alertname,
      interval: "1m",
      input_series: given.map(([series, values]) => ({ series, values })),
      alert_rule_test: [{ eval_time: scene.at ?? "10m", alertname, exp_alerts: fires ? [firing] : [] }],
    };
  });
}

const tests = (all: readonly object[], file = join(process.cwd(), "alerts/steward.rules.yml")): string =>
  JSON.stringify({ rule_files: [file], tests: all });

t.test("files that are made of the table of metrics are those that are checked in", async (t) => {
  const again = "run `node generate.mjs` in packages/telemetry after a build";
  t.equal(packageFile("alerts/steward.rules.yml"), rulesText(), again);
  t.equal(packageFile("alerts/prometheus-rule.yaml"), wrappedRulesText(), again);
  for (const [name, board] of Object.entries(dashboards()))
    t.equal(packageFile(`dashboards/steward-${name}.json`), `${JSON.stringify(board, undefined, 2)}\n`, again);
  t.ok(packageFile("README.md").includes(metricsTable()), again);
});

t.test("every rule has a scene in which it fires and one in which it does not", async (t) => {
  t.strictSame(
    Object.keys(SCENES).sort(),
    prometheusRules()
      .rules.map(({ alert }) => alert)
      .sort(),
  );
});

t.test("Prometheus takes the rules as they are, and every one fires when it should", { skip }, async (t) => {
  t.match(await promtool(["check", "rules"], packageFile("alerts/steward.rules.yml")), { code: 0, output: /11 rules/ });
  t.match(await promtool(["test", "rules"], tests(promtoolTests(true))), { code: 0, output: /SUCCESS/ });
});

t.test("no rule fires when all is well, or well again", { skip }, async (t) => {
  t.match(await promtool(["test", "rules"], tests(promtoolTests(false))), { code: 0, output: /SUCCESS/ });
});

t.test("an optional resource that is down everywhere is a warning and wakes no one", { skip }, async (t) => {
  const down = ["a", "b"].map((instance) => ({ series: health(instance, "cache", "optional"), values: "0x20" }));
  const well = ["a", "b"].map((instance) => ({ series: health(instance), values: "1x20" }));
  const warning = prometheusRules().rules.find(({ alert }) => alert === "StewardUnhealthy");
  const onReplica = (instance: string): object => ({
    exp_labels: { ...warning?.labels, job: "clips", instance, resource: "cache", criticality: "optional" },
    exp_annotations: { ...warning?.annotations, summary: `cache on ${instance} is unhealthy` },
  });
  const expected = [
    { alertname: "StewardUnhealthy", exp_alerts: [onReplica("a"), onReplica("b")] },
    ...prometheusRules()
      .rules.filter(({ labels }) => labels.severity === "critical")
      .map(({ alert }) => ({ alertname: alert, exp_alerts: [] })),
  ];
  t.equal(warning?.labels.severity, "warning");
  const alert_rule_test = expected.map((one) => ({ ...one, eval_time: "10m" }));
  const given = tests([{ name: "optional", interval: "1m", input_series: [...down, ...well], alert_rule_test }]);
  t.match(await promtool(["test", "rules"], given), { code: 0, output: /SUCCESS/ });
});

t.test("a scene that does not fire fails its test", { skip }, async (t) => {
  const [[quiet], [firing]] = [promtoolTests(false), promtoolTests(true)];
  const planted = tests([{ ...firing, input_series: quiet?.input_series }]);
  t.match(await promtool(["test", "rules"], planted), { code: 1, output: /StewardUnhealthy/ });
});

t.test("bounds and the series that rules look at are yours", async (t) => {
  const { rules } = prometheusRules({ selector: 'job="clips"', objective: 0.99, slowStartMs: 5_000 });
  for (const { alert, expr } of rules)
    for (const series of expr.match(/\b(?:dependency|resource|steward|http)_\w+(?:\{[^}]*\})?/g) ?? [])
      if (series !== "http_response_status_code") t.match(series, /job="clips"/, alert);
  t.match(rules.find(({ alert }) => alert === "StewardErrorBudgetFast")?.expr, /> 0\.144\n/);
  t.match(rules.find(({ alert }) => alert === "StewardSlowStart")?.expr, /> 5$/);
  for (const wrong of [{ objective: 1 }, { objective: "much" }, { selector: 1 }, { slowStart: 1 }])
    t.throws(() => prometheusRules(wrong as never), { code: "OPTIONS_INVALID" });
});

t.test("panels show durations in seconds, sizes in bytes, shares in percent and counters by the second", async (t) => {
  const panels = Object.values(dashboards()).flatMap((board) => board.panels);
  t.ok(panels.length > 30);
  for (const panel of panels) {
    const { title, targets, fieldConfig } = panel as {
      title: string;
      targets: { expr: string }[];
      fieldConfig: { defaults: { unit: string } };
    };
    const { unit } = fieldConfig.defaults;
    const [expr = ""] = targets.map((target) => target.expr);
    const metric = Object.entries(METRICS).find(([name, { kind, unit: own }]) =>
      new RegExp(`\\b${prometheusName(name, kind, own)}(_bucket|_count|_sum)?\\{`).test(expr),
    );
    const isRate = /\brate\(/.test(expr) && !expr.startsWith("histogram_quantile");
    const isShare = isRate && metric?.[1].unit === "s" && !expr.includes("_count{");
    const wanted = isShare
      ? "percentunit"
      : isRate
        ? "cps"
        : metric?.[1].unit === "s"
          ? "s"
          : metric?.[1].unit === "By"
            ? "bytes"
            : metric?.[0].endsWith("_ratio") === true
              ? "percentunit"
              : metric?.[1].unit === "1"
                ? "none"
                : "short";
    t.equal(unit, wanted, `${title}: ${expr}`);
  }
});
