// The graph: a box for each resource, an edge for each need.
import { cut, duration, h, rate, s, setAttribute, setText } from "./dom.js";
import { layout, pathOf } from "./layout.js";
import { state } from "./state.js";
import { describe, isShown, isVictim, look, rootCauses } from "./look.js";

const MARGIN = 24;
const SCALES = { least: 0.2, most: 2 };

/** What is chosen stays while other screens are looked at. */
const chosen = { common: false, filter: "", zoom: undefined };

/** The screen: its element and what brings it up to date. */
export function graphScreen() {
  const canvas = s("svg", { class: "graph", role: "group", "aria-label": "Resources and what they need" });
  const frame = h("div", { class: "canvas" }, canvas);
  const empty = h("p", { class: "empty dim" }, "Nothing has started yet.");
  const view = { canvas, frame, boxes: new Map(), edges: [], made: undefined, size: { width: 1, height: 1 } };
  const search = h("input", {
    type: "search",
    placeholder: "Find a resource",
    "aria-label": "Find a resource by name, driver or tag",
    value: chosen.filter,
    oninput: ({ target }) => ((chosen.filter = target.value), update()),
  });
  const common = h("input", {
    type: "checkbox",
    checked: chosen.common,
    onchange: ({ target }) => ((chosen.common = target.checked), update()),
  });
  const zoomBy = (factor) => () => (zoom(view, factor), place(view));
  const bar = h(
    "div",
    { class: "bar" },
    search,
    h("label", {}, common, " settings, logs, constants"),
    h("span", { class: "grow" }),
    h("button", { type: "button", onclick: zoomBy(1 / 1.25), "aria-label": "Smaller" }, "−"),
    h("button", { type: "button", onclick: zoomBy(1.25), "aria-label": "Larger" }, "+"),
    h("button", { type: "button", onclick: () => ((chosen.zoom = undefined), place(view)) }, "Fit"),
  );
  const resized = new ResizeObserver(() => place(view));
  resized.observe(frame);
  function update() {
    const key = JSON.stringify([state.structure, shownNodes().map(({ name }) => name)]);
    if (view.made !== key) build(view, key);
    empty.hidden = state.nodes.size > 0;
    paint(view);
  }
  const screen = h("section", { "aria-label": "Graph" }, bar, legend(), frame, empty);
  return { element: screen, update, leave: () => resized.disconnect() };
}

function legend() {
  const item = (name, text) => h("li", { class: name }, h("i"), text);
  return h(
    "ul",
    { class: "legend dim", "aria-hidden": "true" },
    item("healthy", "healthy"),
    item("degraded", "degraded"),
    item("unhealthy", "unhealthy"),
    item("unknown", "unknown"),
    item("cause", "root cause"),
    item("victim", "suffers from it"),
  );
}

function shownNodes() {
  return [...state.nodes.values()].filter((node) => isShown(node, chosen.common));
}

/** Draws everything anew: only when resources or needs have changed. */
function build(view, key) {
  const focused = document.activeElement?.getAttribute?.("data-name");
  const nodes = shownNodes();
  const { width, height, boxes, edges } = layout(nodes);
  view.made = key;
  view.size = { width, height };
  view.boxes = new Map();
  view.edges = [];
  const paths = edges.map(({ from, to, points }) => {
    const need = state.nodes.get(from).needs.find(({ name }) => name === to);
    const dashed = need.optional || need.kind !== "plain" ? "soft" : "";
    const path = s("path", { class: `edge ${dashed}`, d: pathOf(points) }, s("title", {}, edgeTitle(from, to, need)));
    view.edges.push({ from, to, path, dashed });
    return path;
  });
  const groups = nodes.map((node) => boxOf(view, node, boxes.get(node.name), boxes));
  view.canvas.replaceChildren(hatch(), s("g", {}, paths), s("g", {}, groups));
  place(view);
  if (focused !== undefined && focused !== null) view.boxes.get(focused)?.group.focus();
}

function edgeTitle(from, to, { kind, optional, key }) {
  return `${from} needs ${to} as "${key}"${kind === "plain" ? "" : `, ${kind}`}${optional ? ", optional" : ""}`;
}

function hatch() {
  const pattern = { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" };
  return s("defs", {}, s("pattern", pattern, s("line", { x1: 0, y1: 0, x2: 0, y2: 6, class: "hatching" })));
}

function boxOf(view, node, box, boxes) {
  const parts = {
    group: undefined,
    title: s("title"),
    // The title says all of it, and in full.
    name: s("text", { x: 26, y: 22, class: "name", "aria-hidden": "true" }, cut(node.name, 20)),
    about: s("text", { x: 26, y: 41, class: "about", "aria-hidden": "true" }),
  };
  const open = () => (location.hash = `#/resource/${encodeURIComponent(node.name)}`);
  parts.group = s(
    "g",
    {
      transform: `translate(${box.x} ${box.y})`,
      role: "button",
      tabindex: 0,
      "data-name": node.name,
      onclick: open,
      onfocus: () => mark(view, node.name),
      onblur: () => mark(view, undefined),
      onmouseenter: () => mark(view, node.name),
      onmouseleave: () => mark(view, undefined),
      onkeydown: (event) => {
        if (event.key === "Enter" || event.key === " ") open();
        else if (!move(view, node, event.key, boxes)) return;
        event.preventDefault();
      },
    },
    parts.title,
    s("rect", { class: "body", width: box.width, height: box.height, rx: 9 }),
    s("rect", { class: "hatched", width: box.width, height: box.height, rx: 9 }),
    s("circle", { class: "dot", cx: 14, cy: 17.5, r: 5 }),
    parts.name,
    parts.about,
  );
  view.boxes.set(node.name, parts);
  return parts.group;
}

/** Arrows go along needs, and up and down within a column. */
function move(view, node, key, boxes) {
  const shown = (names) => names.find((name) => view.boxes.has(name));
  const own = boxes.get(node.name);
  const inColumn = [...boxes].filter(([, box]) => box.column === own.column).sort(([, a], [, b]) => a.y - b.y);
  const at = inColumn.findIndex(([name]) => name === node.name);
  const next = {
    ArrowRight: () => shown(node.needs.map(({ name }) => name)),
    ArrowLeft: () => view.edges.find(({ to }) => to === node.name)?.from,
    ArrowUp: () => inColumn[at - 1]?.[0],
    ArrowDown: () => inColumn[at + 1]?.[0],
  }[key]?.();
  if (next === undefined) return false;
  view.boxes.get(next)?.group.focus();
  return true;
}

/** Brings out a resource with its edges. */
function mark(view, name) {
  for (const { from, to, path } of view.edges) path.classList.toggle("marked", from === name || to === name);
}

/** Colours and numbers as they are now. */
function paint(view) {
  const words = chosen.filter.trim().toLowerCase();
  const roots = rootCauses(state.nodes);
  for (const [name, parts] of view.boxes) {
    const node = state.nodes.get(name);
    if (node === undefined) continue;
    const isFound = words === "" || [name, node.driver ?? "", ...node.tags].join(" ").toLowerCase().includes(words);
    setAttribute(parts.group, "class", `box ${look(node, roots)}${isFound ? "" : " faint"}`);
    setText(parts.title, describe(node, roots));
    setText(parts.about, cut(aboutOf(node), 28));
  }
  for (const { from, to, path, dashed } of view.edges) {
    const needed = state.nodes.get(to);
    const isAffected = needed !== undefined && (roots.has(to) || isVictim(needed, roots));
    const isOff = [from, to].some((name) => state.nodes.get(name)?.phase === "disabled");
    const isMarked = path.classList.contains("marked") ? " marked" : "";
    setAttribute(path, "class", `edge ${dashed}${isAffected ? " affected" : ""}${isOff ? " off" : ""}${isMarked}`);
  }
}

function aboutOf({ driver, lifetime, phase, rate: calls, p95, breaker }) {
  const isCalm = phase === "ready" || phase === "given";
  const isSteady = breaker === undefined || breaker === "closed";
  return [
    isCalm ? undefined : phase,
    isSteady ? undefined : `circuit ${breaker}`,
    driver ?? (lifetime === "application" ? undefined : lifetime),
    calls === undefined ? undefined : rate(calls),
    p95 === undefined || p95 === null ? undefined : duration(p95),
  ]
    .filter((part) => part !== undefined)
    .join(" · ");
}

function zoom(view, factor) {
  const now = chosen.zoom ?? fitting(view);
  chosen.zoom = Math.min(SCALES.most, Math.max(SCALES.least, now * factor));
}

function fitting({ frame, size }) {
  const byWidth = frame.clientWidth / (size.width + 2 * MARGIN);
  const byHeight =
    Math.max(320, window.innerHeight - frame.getBoundingClientRect().top - 36) / (size.height + 2 * MARGIN);
  return Math.min(1.1, Math.max(SCALES.least, Math.min(byWidth, Math.max(byHeight, 0.55))));
}

/** A drawing that is larger than its frame is scrolled there. */
function place(view) {
  const { canvas, size } = view;
  const [width, height] = [size.width + 2 * MARGIN, size.height + 2 * MARGIN];
  const scale = chosen.zoom ?? fitting(view);
  setAttribute(canvas, "viewBox", `${-MARGIN} ${-MARGIN} ${width} ${height}`);
  setAttribute(canvas, "width", String(Math.round(width * scale)));
  setAttribute(canvas, "height", String(Math.round(height * scale)));
}
