// How the process is.
import { line } from "./chart.js";
import { bytes, duration, h } from "./dom.js";
import { state } from "./state.js";

const share = (value) => `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %`;

/** The screen: its element and what brings it up to date. */
export function processScreen() {
  const element = h("section", { "aria-label": "Process" });
  let shown;
  function update() {
    if (state.process === undefined)
      return element.replaceChildren(h("p", { class: "empty dim" }, "It is being measured."));
    if (state.process === shown) return;
    shown = state.process;
    element.replaceChildren(...partsOf(state.process));
  }
  return { element, update };
}

function partsOf(view) {
  const points = state.history.get("process") ?? [];
  const tile = (title, value, about, key) =>
    h(
      "div",
      { class: "tile" },
      h("h3", {}, title),
      h("p", { class: "value" }, value),
      h("p", { class: "dim" }, about),
      line(
        points.map((point) => point[key]),
        `${title} over the last minutes`,
      ),
    );
  const { loopDelayMs, loopUtilisation, cpu, cores, heapUsedBytes, heapTotalBytes, externalBytes, rssBytes, gcShare } =
    view;
  return [
    h(
      "p",
      { class: "dim" },
      `Process ${view.pid} on Node ${view.node}, up for ${duration(view.uptimeS * 1_000)}, instance ${state.summary?.instance ?? ""}`,
    ),
    h(
      "div",
      { class: "tiles" },
      tile(
        "Event loop delay",
        duration(loopDelayMs.p99) || "0 ms",
        `99 % below; at most ${duration(loopDelayMs.max)} in the last second`,
        "delay",
      ),
      tile("Event loop in use", share(loopUtilisation), "of the last second", "loopUtilisation"),
      tile("CPU", share(cpu), `of one core; there are ${cores}`, "cpu"),
      tile(
        "Heap",
        bytes(heapUsedBytes),
        `of ${bytes(heapTotalBytes)}; outside of it ${bytes(externalBytes)}`,
        "heapUsedBytes",
      ),
      tile("Memory", bytes(rssBytes), "of the machine, all in all", "rssBytes"),
      tile("Garbage collection", share(gcShare), "of the last second", "gcShare"),
    ),
    h("h3", {}, "What holds it open"),
    h(
      "dl",
      {},
      Object.entries(view.handles).map(([kind, count]) => [h("dt", {}, kind), h("dd", {}, String(count))]),
    ),
  ];
}
