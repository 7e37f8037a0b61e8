import { sectionOf, textOf } from "./sources.ts";
import { links } from "./package-pages.ts";

/** The table of metrics, which telemetry's own generator keeps equal to the code. */
export function metricsPage(): string {
  const readme = textOf("packages/telemetry/README.md") ?? "";
  const section = sectionOf(readme, /^## Metrics/);
  if (section === undefined) throw new Error("the README of telemetry has no section of metrics");
  const text = links(section.replaceAll(/<!--[\s\S]*?-->\n?/g, ""), "packages/telemetry/README.md");
  return `# Metrics

Every series that a process of Steward may show. How to serve them is in [\`@steward/telemetry\`](/packages/telemetry).

${text.trim()}
`;
}
