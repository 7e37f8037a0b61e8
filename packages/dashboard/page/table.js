// The table: the same as the graph, for narrow screens and for readers of screens.
import { duration, h, rate } from "./dom.js";
import { byUrgency, isShown, look, rootCauses } from "./look.js";
import { state } from "./state.js";

/** Columns of numbers. */
const NUMBERS = new Set([2, 3, 4, 5, 6, 7]);

/** The screen: its element and what brings it up to date. */
export function tableScreen() {
  const body = h("tbody");
  const head = ["Resource", "Health", "Calls", "p50", "p95", "p99", "In use", "Start", "Needs"];
  const table = h(
    "table",
    { class: "resources" },
    h("caption", { class: "hidden" }, "All resources, what is not well first"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        head.map((text, i) => h("th", { scope: "col", class: NUMBERS.has(i) ? "number" : undefined }, text)),
      ),
    ),
    body,
  );
  let shown = "";
  function update() {
    const nodes = byUrgency([...state.nodes.values()].filter((node) => isShown(node, true) && node.phase !== "given"));
    const key = JSON.stringify(nodes);
    if (key === shown) return;
    shown = key;
    const focused = document.activeElement?.getAttribute?.("href");
    const roots = rootCauses(state.nodes);
    body.replaceChildren(...nodes.map((node) => row(node, roots)));
    if (focused?.startsWith("#/resource/")) body.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  }
  return { element: h("section", { "aria-label": "Table" }, h("div", { class: "scroll" }, table)), update };
}

function row(node, roots) {
  const { name, driver, status, phase, reason, needs, startedInMs } = node;
  const words =
    status === undefined || phase === "disabled" ? phase : phase === "ready" ? status : `${status}, ${phase}`;
  const cell = (label, ...children) => h("td", { "data-label": label }, ...children);
  const number = (label, text) => h("td", { class: "number", "data-label": label }, text);
  return h(
    "tr",
    { class: look(node, roots) },
    h(
      "th",
      { scope: "row" },
      h("a", { href: `#/resource/${encodeURIComponent(name)}` }, name),
      driver !== undefined && h("small", {}, ` ${driver}`),
    ),
    cell(
      "Health",
      h("i", { class: "dot" }),
      roots.has(name) ? `${words}, root cause` : words,
      reason !== undefined && h("small", { class: "reason" }, reason),
    ),
    number("Calls", rate(node.rate)),
    number("p50", duration(node.p50)),
    number("p95", duration(node.p95)),
    number("p99", duration(node.p99)),
    number("In use", node.inUse === undefined ? "" : `${node.inUse}${node.max === undefined ? "" : ` of ${node.max}`}`),
    number("Start", duration(startedInMs)),
    cell("Needs", needs.map((need) => need.name).join(", ")),
  );
}
