// The time line: a lane for each resource, from the journal, and the lines themselves below.
import { h, s, timeOfDay } from "./dom.js";
import { journalTable } from "./journal.js";
import { state } from "./state.js";

const RANGES = [
  ["All", undefined],
  ["15 min", 900_000],
  ["5 min", 300_000],
  ["1 min", 60_000],
];
const LANE = { height: 24, label: 150, width: 1_000 };
const MOST_LINES = 300;

/** What is chosen stays while other screens are looked at. `brush` is a part of the time, from and to. */
const chosen = { range: undefined, brush: undefined, filter: "" };

/** The screen: its element and what brings it up to date. */
export function timelineScreen() {
  const lanes = h("div", { class: "lanes scroll" });
  const lines = h("div", {});
  const whole = h("button", { type: "button", onclick: () => ((chosen.brush = undefined), draw()) }, "Whole range");
  const filter = h("input", {
    type: "search",
    placeholder: "Filter",
    "aria-label": "Show only resources whose name has this text",
    value: chosen.filter,
    oninput: ({ target }) => ((chosen.filter = target.value), draw()),
  });
  const ranges = h(
    "select",
    {
      "aria-label": "Range of time",
      onchange: ({ target }) => ((chosen.range = RANGES[target.selectedIndex][1]), (chosen.brush = undefined), draw()),
    },
    RANGES.map(([text, ms]) => h("option", { selected: chosen.range === ms }, text)),
  );
  let shown = "";
  function draw() {
    const [from, to] = bounds();
    const known = state.journal.filter(({ resource = "" }) =>
      resource.toLowerCase().includes(chosen.filter.toLowerCase()),
    );
    whole.hidden = chosen.brush === undefined;
    lanes.replaceChildren(drawing(known, from, to, (brush) => ((chosen.brush = brush), draw())));
    const inRange = known.filter(({ at, lastAt }) => lastAt >= from && at <= to);
    lines.replaceChildren(journalTable(inRange.slice(-MOST_LINES).reverse()));
  }
  function update() {
    const key = `${state.journal.at(-1)?.sequence} ${state.structure} ${Math.floor((state.summary?.at ?? 0) / 2_000)}`;
    if (key === shown || lanes.contains(document.activeElement) || lines.contains(document.activeElement)) return;
    shown = key;
    draw();
  }
  const bar = h(
    "div",
    { class: "bar" },
    filter,
    ranges,
    whole,
    h("span", { class: "dim" }, "Drag over the lanes to choose a part."),
  );
  return { element: h("section", { "aria-label": "Time line" }, bar, lanes, lines), update };
}

function bounds() {
  if (chosen.brush !== undefined) return chosen.brush;
  const now = state.summary?.at ?? Date.now();
  const first = state.journal[0]?.at ?? now - 60_000;
  return [chosen.range === undefined ? Math.min(first, now - 1_000) : now - chosen.range, now];
}

function drawing(journal, from, to, onBrush) {
  const names = [...new Set(journal.flatMap(({ resource }) => resource ?? []))];
  const scale = LANE.width / Math.max(1, to - from);
  const x = (at) => LANE.label + Math.max(0, Math.min(LANE.width, (at - from) * scale));
  const [width, height] = [LANE.label + LANE.width + 10, names.length * LANE.height + 26];
  const brush = s("rect", { class: "brush", y: 0, height: height - 22, width: 0 });
  const svg = s(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      class: "timeline",
      role: "img",
      "aria-label": "Phases and health over time; the table below has the same in words",
    },
    axis(from, to, x, height),
    names.map((name, i) =>
      laneOf(
        name,
        i,
        journal.filter(({ resource }) => resource === name),
        x,
        from,
        to,
      ),
    ),
    brush,
  );
  const timeAt = (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * width - LANE.label;
    return from + Math.max(0, Math.min(LANE.width, at)) / scale;
  };
  let begun;
  svg.addEventListener("pointerdown", (event) => {
    begun = timeAt(event);
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    if (begun === undefined) return;
    const [left, right] = [begun, timeAt(event)].sort((a, b) => a - b).map(x);
    brush.setAttribute("x", left);
    brush.setAttribute("width", right - left);
  });
  svg.addEventListener("pointerup", (event) => {
    const ends = [begun, timeAt(event)].sort((a, b) => a - b);
    begun = undefined;
    if ((ends[1] - ends[0]) * scale > 4) onBrush(ends);
  });
  return svg;
}

function laneOf(name, i, entries, x, from, to) {
  const y = i * LANE.height;
  const node = state.nodes.get(name);
  const changes = changesOf(entries);
  const parts = changes.map(({ at, look, words }, j) => {
    const end = changes[j + 1]?.at ?? to;
    if (end < from || at > to) return undefined;
    const [left, right] = [x(at), x(end)];
    return s(
      "rect",
      { class: `part ${look}`, x: left, y: y + 5, width: Math.max(2, right - left), height: LANE.height - 10, rx: 2 },
      s("title", {}, `${name}: ${words}, ${timeOfDay(at)}`),
    );
  });
  const label = name.length > 20 ? `${name.slice(0, 19)}…` : name;
  return s("g", { class: node?.status ?? "" }, s("text", { x: 6, y: y + 16 }, label), parts);
}

/** What a resource was from when on: its phase, and while it is ready its health and breaker. */
function changesOf(entries) {
  const now = { phase: undefined, status: undefined, circuit: undefined };
  return entries.flatMap(({ at, kind, to }) => {
    if (kind === "state") now.phase = to;
    else if (kind === "health") now.status = to;
    else if (kind === "breaker") now.circuit = to;
    else return [];
    return [{ at, ...lookOf(now) }];
  });
}

function lookOf({ phase = "ready", status, circuit }) {
  if (phase !== "ready") return { look: phase, words: phase };
  if (circuit === "open" || circuit === "isolated") return { look: "unhealthy", words: `circuit ${circuit}` };
  return { look: status ?? "ready", words: status ?? "ready" };
}

function axis(from, to, x, height) {
  const marks = [0, 0.25, 0.5, 0.75, 1].map((share) => from + (to - from) * share);
  return marks.map((at, i) => {
    const anchor = i === 0 ? "start" : i === marks.length - 1 ? "end" : "middle";
    const text = to - from < 10_000 ? timeOfDay(at) : timeOfDay(at).replace(/\.\d+$/, "");
    return s(
      "g",
      { class: "mark" },
      s("path", { d: `M${x(at)} 0V${height - 20}` }),
      s("text", { x: x(at), y: height - 5, "text-anchor": anchor }, text),
    );
  });
}
