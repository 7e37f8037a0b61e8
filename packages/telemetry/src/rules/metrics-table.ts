import { METRICS } from "../metrics/metrics.ts";
import { ALERTS } from "./alerts.ts";
import { PANELS } from "./panels.ts";

/** The table of all metrics in Markdown: what each is, where it is drawn, and what fires on it. */
export function metricsTable(): string {
  const head = [
    "| name | kind | unit | labels | says | drawn on | alerts |",
    "| --- | --- | --- | --- | --- | --- | --- |",
  ];
  const rows = Object.entries(METRICS).map(([name, { kind, unit, labels, help }]) => {
    const drawn = new Set((PANELS[name] ?? []).map(({ on }) => on));
    const alerts = (ALERTS[name] ?? []).map((alert) => `\`${alert.name}\``);
    const cells = [`\`${name}\``, kind, `\`${unit}\``, quoted(labels), help, [...drawn].join(", "), alerts.join(", ")];
    return `| ${cells.join(" | ")} |`;
  });
  return `${[...head, ...rows].join("\n")}\n`;
}

function quoted(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(", ");
}
