// What runs right now: requests, and places of resources that are taken.
import { duration, h } from "./dom.js";
import { state } from "./state.js";

const OLD_MS = 5_000;

/** The screen: its element and what brings it up to date. */
export function liveScreen() {
  const element = h("section", { "aria-label": "Live" });
  let drawnAt = 0;
  function update() {
    const now = performance.now();
    if (now - drawnAt < 500) return;
    drawnAt = now;
    element.replaceChildren(...partsOf(state.requests, state.summary?.at ?? Date.now()));
  }
  return { element, update };
}

function partsOf(requests, now) {
  const busy = [...state.nodes.values()].filter(({ inUse = 0, pending = 0 }) => inUse > 0 || pending > 0);
  return [
    h("h2", {}, `Requests being answered: ${requests?.open ?? 0}`),
    h("p", { class: "dim" }, "Of those that came since the first viewer; the 20 oldest first."),
    table(
      ["Age", "Request", "Id"],
      (requests?.oldest ?? []).map(({ id, method, path, at }) => [
        now - at > OLD_MS ? "unhealthy" : "",
        h("td", { class: "number" }, duration(Math.max(0, now - at))),
        h("td", {}, `${method} ${path}`),
        h("td", { class: "dim" }, id),
      ]),
      "No request is being answered.",
    ),
    h("h2", {}, "Resources in use"),
    table(
      ["Resource", "In use", "Pending", "Breaker"],
      busy.map(({ name, inUse, max, pending, breaker }) => [
        (pending ?? 0) > 0 ? "degraded" : "",
        h("th", { scope: "row" }, h("a", { href: `#/resource/${encodeURIComponent(name)}` }, name)),
        h("td", {}, `${inUse ?? 0}${max === undefined ? "" : ` of ${max}`}`),
        h("td", {}, String(pending ?? 0)),
        h("td", {}, breaker ?? ""),
      ]),
      "No call is under way.",
    ),
  ];
}

function table(head, rows, none) {
  if (rows.length === 0) return h("p", { class: "dim" }, none);
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          head.map((text) => h("th", { scope: "col" }, text)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map(([look, ...cells]) => h("tr", { class: look }, cells)),
      ),
    ),
  );
}
