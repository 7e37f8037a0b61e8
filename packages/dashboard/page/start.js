// The start: what began when, how long it took, and what the whole waited for. A failed one too.
import { duration, h, s } from "./dom.js";
import { startOf } from "./critical.js";
import { state } from "./state.js";

const ROW = { height: 26, label: 170, width: 900, right: 90 };

/** The screen: its element and what brings it up to date. */
export function startScreen() {
  const element = h("section", { "aria-label": "Start" });
  let shown = "";
  function update() {
    const rows = rowsOf();
    const key = JSON.stringify([rows, state.summary?.phase]);
    if (key === shown) return;
    shown = key;
    element.replaceChildren(...partsOf(rows));
  }
  return { element, update };
}

/** From the graph where it has started; from the journal where it is starting or has failed. */
function rowsOf() {
  const nodes = [...state.nodes.values()];
  const started = nodes.filter(
    ({ startedAtMs, startedInMs }) => startedAtMs !== undefined && startedInMs !== undefined,
  );
  if (state.summary?.phase === "ready" || state.summary?.phase === "draining")
    return started.map(({ name, needs, startedAtMs, startedInMs }) => ({
      name,
      needs,
      at: startedAtMs,
      ms: startedInMs,
      end: "ready",
    }));
  return fromJournal(new Map(nodes.map((node) => [node.name, node])));
}

function fromJournal(nodes) {
  const rows = new Map();
  const own = state.journal.filter(({ kind, resource }) => kind === "state" && resource !== state.summary?.container);
  const first = own.find(({ to }) => to === "starting")?.at ?? 0;
  for (const { resource, to, at, reason } of own) {
    if (to === "starting")
      rows.set(resource, {
        name: resource,
        needs: nodes.get(resource)?.needs ?? [],
        at: at - first,
        ms: undefined,
        end: "starting",
      });
    const row = rows.get(resource);
    if (row === undefined || to === "starting") continue;
    if (row.ms === undefined) row.ms = at - first - row.at;
    row.end = to === "stopped" && row.end !== "failed" ? "rolled back" : row.end === "failed" ? "failed" : to;
    row.reason ??= reason;
  }
  const now = (state.summary?.at ?? first) - first;
  return [...rows.values()].map((row) => ({ ...row, ms: row.ms ?? Math.max(0, now - row.at) }));
}

function partsOf(rows) {
  if (rows.length === 0) return [h("p", { class: "empty dim" }, "Nothing has started yet.")];
  const sorted = [...rows].sort((a, b) => a.at - b.at || (a.name < b.name ? -1 : 1));
  const { total, path, savings } = startOf(sorted);
  const failed = sorted.filter(({ end }) => end === "failed");
  const [best] = savings;
  return [
    h(
      "p",
      {},
      failed.length > 0
        ? `The start has failed: ${failed.map(({ name, reason }) => `${name}${reason === undefined ? "" : ` (${reason})`}`).join("; ")}`
        : `Started in ${duration(total)}. `,
      failed.length === 0 && best !== undefined && `Without ${best.name} it would be ${duration(best.ms)} faster. `,
      failed.length === 0 && h("span", { class: "dim" }, `What all waited for: ${path.join(" → ")}.`),
    ),
    h("div", { class: "scroll" }, waterfall(sorted, new Set(failed.length > 0 ? [] : path), total)),
  ];
}

function waterfall(rows, path, total) {
  const scale = ROW.width / Math.max(1, total);
  const [width, height] = [ROW.label + ROW.width + ROW.right, rows.length * ROW.height + 10];
  return s(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      class: "waterfall",
      role: "list",
      "aria-label": "Starts of resources, the first first",
    },
    rows.map(({ name, at, ms, end, reason }, i) => {
      const [x, y] = [ROW.label + at * scale, i * ROW.height + 6];
      const size = Math.max(2, ms * scale);
      const words = `${name}: began after ${duration(at) || "0 ms"}, took ${duration(ms) || "0 ms"}, ${end}`;
      const label = name.length > 22 ? `${name.slice(0, 21)}…` : name;
      return s(
        "g",
        {
          role: "listitem",
          "aria-label": `${words}${path.has(name) ? ", on the critical path" : ""}`,
          class: `${end.replace(" ", "-")} ${path.has(name) ? "critical" : ""}`,
        },
        s("title", {}, reason === undefined ? words : `${words}: ${reason}`),
        s("text", { x: 6, y: y + 13 }, label),
        s("rect", { class: "part", x, y, width: size, height: ROW.height - 10, rx: 3 }),
        s("text", { x: x + size + 6, y: y + 13, class: "about" }, `${duration(ms)}${end === "ready" ? "" : ` ${end}`}`),
      );
    }),
  );
}
