// What the server has said: one view, then deltas and lines of the journal.

const MOST_LINES = 1_000;
const MOST_POINTS = 150;

/** What is shown. `connection` is `connecting`, `live`, `lost`, or `ended` where the process has said that it ends. */
export const state = {
  connection: "connecting",
  summary: undefined,
  nodes: new Map(),
  journal: [],
  process: undefined,
  requests: undefined,
  /** All replicas, this one first; `undefined` where there are no peers. */
  replicas: undefined,
  /** Rates and latencies of resources and of the process as they were read, for lines. */
  history: new Map(),
  /** Grows when resources or needs come or go. */
  structure: 0,
};

const listeners = new Set();

/** Calls a function after every change; gives what ends that. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

let waiting = false;
function changed() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    for (const listener of listeners) listener();
  });
}

let source;
let again;

/** Watches while the page is seen: a browser has six connections for all its tabs. */
export function watch() {
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
}

function close() {
  clearTimeout(again);
  source?.close();
  source = undefined;
}

function open() {
  close();
  source = new EventSource("events");
  source.addEventListener("view", ({ data }) => take(JSON.parse(data)));
  source.addEventListener("delta", ({ data }) => change(JSON.parse(data)));
  source.addEventListener("journal", ({ data }) => (note([JSON.parse(data)]), changed()));
  source.addEventListener("replicas", ({ data }) => ((state.replicas = JSON.parse(data)), changed()));
  source.addEventListener("end", () => {
    state.connection = "ended";
    changed();
  });
  source.addEventListener("error", () => {
    if (state.connection !== "ended") state.connection = "lost";
    changed();
    // A refusal ends the source for good.
    if (source?.readyState === EventSource.CLOSED) again = setTimeout(open, 3_000);
  });
}

function take(view) {
  const { nodes, journal, process, requests, schema: _, ...summary } = view;
  if (state.summary?.instance !== summary.instance) {
    state.journal = [];
    state.history.clear();
  }
  state.connection = "live";
  state.summary = summary;
  state.process = process ?? state.process;
  state.requests = requests;
  state.nodes = new Map(nodes.map((node) => [node.name, node]));
  state.structure += 1;
  note(journal);
  changed();
}

function change({ nodes, gone, process, requests, ...summary }) {
  state.summary = { ...state.summary, ...summary };
  for (const node of nodes) {
    const before = state.nodes.get(node.name);
    if (before === undefined || node.needs !== undefined) state.structure += 1;
    state.nodes.set(node.name, merged(before, node));
  }
  for (const name of gone) state.nodes.delete(name);
  if (gone.length > 0) state.structure += 1;
  if (process !== undefined) {
    state.process = process;
    state.requests = requests;
    remember();
  }
  changed();
}

/** A delta has what has changed; `null` stands for what is not known any more. */
function merged(before, change) {
  const known = Object.entries({ ...before, ...change }).filter(([, value]) => value !== null);
  return Object.fromEntries(known);
}

/** A line that came again replaces itself. */
function note(entries) {
  for (const entry of entries) {
    const known = state.journal.findIndex(({ key }) => key === entry.key);
    if (known < 0) state.journal.push(entry);
    else state.journal[known] = entry;
  }
  if (state.journal.length > MOST_LINES) state.journal.splice(0, state.journal.length - MOST_LINES);
}

/** Once a second. */
function remember() {
  for (const [name, { rate, p95 }] of state.nodes) if (rate !== undefined) point(`node ${name}`, { rate, p95 });
  const { loopDelayMs, loopUtilisation, cpu, heapUsedBytes, rssBytes, gcShare } = state.process;
  point("process", { delay: loopDelayMs.p99, loopUtilisation, cpu, heapUsedBytes, rssBytes, gcShare });
}

function point(key, values) {
  const points = state.history.get(key) ?? [];
  points.push(values);
  if (points.length > MOST_POINTS) points.shift();
  state.history.set(key, points);
}
