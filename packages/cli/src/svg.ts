import type { GraphView } from "@steward/container";
import { layout, pathOf, type LayoutBox } from "@steward/dashboard/layout";

type Node = GraphView["nodes"][number];

const MARGIN = 16;
/** As many letters as fit into a box. */
const LETTERS = 22;

const STYLE = `
  .edge { fill: none; stroke: #8a939d; stroke-width: 1.5 }
  .soft { stroke-dasharray: 5 4 }
  .box { fill: #fff; stroke: #2b8355; stroke-width: 1.5 }
  .later .box { stroke: #8a939d; stroke-dasharray: 5 4 }
  .name { font: 600 14px system-ui, sans-serif; fill: #1c2024 }
  .about { font: 12px system-ui, sans-serif; fill: #5b6470 }
  @media (prefers-color-scheme: dark) {
    .box { fill: #1b1f23; stroke: #58c08a }
    .name { fill: #e6e8ea }
    .about { fill: #9aa4af }
  }`;

/**
 * The graph of a container as SVG: who needs stands left of what it needs, and dashed lines are optional, lazy, current
 * or chosen needs.
 *
 * @example
 * ```ts
 * import { graphSvg } from "@steward/cli";
 * import { container } from "@steward/container";
 * import { resource } from "@steward/core";
 * const config = resource("config", { start: () => ({ url: "x" }) });
 * const db = resource("db", { needs: { config }, start: ({ config }) => config.url });
 * const svg = graphSvg(container([db]).graph());
 * console.log(svg.split("<title>").length - 1); // => 3
 * ```
 */
export function graphSvg({ nodes }: GraphView): string {
  const { width, height, boxes, edges } = layout(nodes);
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const size = [width + 2 * MARGIN, height + 2 * MARGIN];
  const paths = edges.map(({ from, to, points }) => {
    const need = byName.get(from)?.needs.find(({ name }) => name === to);
    const soft = need !== undefined && (need.optional || need.kind !== "plain");
    const how = [
      ...(need?.kind === "plain" ? [] : [need?.kind ?? ""]),
      ...(need?.optional === true ? ["optional"] : []),
    ];
    const title = escaped(`${from} needs ${to}${how.length === 0 ? "" : ` (${how.join(", ")})`}`);
    return `<path class="edge${soft ? " soft" : ""}" d="${pathOf(points)}"><title>${title}</title></path>`;
  });
  const groups = nodes.flatMap((node) => {
    const box = boxes.get(node.name);
    return box === undefined ? [] : [boxOf(node, box)];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size[0]}" height="${size[1]}" viewBox="${-MARGIN} ${-MARGIN} ${size.join(" ")}" role="img" aria-label="Resources and what they need">`,
    `<style>${STYLE}\n</style>`,
    ...paths,
    ...groups,
    "</svg>",
  ].join("\n");
}

function boxOf(node: Node, { x, y, width, height }: LayoutBox): string {
  const about = [node.driver ?? "", node.lifetime === "application" ? "" : node.lifetime, stateOf(node)];
  const words = about.filter((word) => word !== "").join(", ");
  return [
    `<g transform="translate(${x} ${y.toFixed(1)})"${node.state === "disabled" ? ' class="later"' : ""}>`,
    `<title>${escaped(words === "" ? node.name : `${node.name} (${words})`)}</title>`,
    `<rect class="box" width="${width}" height="${height}" rx="9"/>`,
    `<text class="name" x="14" y="23">${escaped(cut(node.name))}</text>`,
    `<text class="about" x="14" y="42">${escaped(cut(words))}</text></g>`,
  ].join("");
}

function stateOf({ state }: Node): string {
  return state === "disabled" || state === "given" ? state : "";
}

function cut(text: string): string {
  return text.length > LETTERS ? `${text.slice(0, LETTERS - 1)}…` : text;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
