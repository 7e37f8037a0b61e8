// Training runs: how each is, and the curves of some beside one another. They are asked for while they are looked at.
import { curves } from "./chart.js";
import { duration, h, s } from "./dom.js";
import { state } from "./state.js";

const EVERY_MS = 2_000;
/** Of as many the server gives curves at once. */
const MOST_SHOWN = 6;
/** Shown before anybody has chosen. */
const FIRST_SHOWN = 3;
/** One that has written nothing for so long may have been killed. */
const SILENT_MS = 60_000;

/** What is chosen and known stays while other screens are looked at. */
let chosen;
let found;
const curvesOf = new Map();
/** Which run has which look. */
const looks = Array.from({ length: MOST_SHOWN });

/** The screen: its element and what brings it up to date. */
export function runsScreen() {
  const element = h("section", { "aria-label": "Training runs" });
  let timer;
  let drawn = "";
  let isAsking = false;
  let hasLeft = false;
  async function ask() {
    if (isAsking || hasLeft) return;
    isAsking = true;
    clearTimeout(timer);
    try {
      if (state.summary?.hasRuns === true && !document.hidden) await read();
    } catch {
      // the line above says that the connection is lost
    }
    isAsking = false;
    if (hasLeft) return;
    draw();
    timer = setTimeout(ask, EVERY_MS);
  }
  function draw() {
    const isAtWork = found?.runs.some(({ status }) => status === "running");
    const text = JSON.stringify([
      { ...found, at: isAtWork ? Math.floor(found.at / 10_000) : 0 },
      chosen,
      state.summary?.hasRuns,
    ]);
    const isMarked = !(getSelection()?.isCollapsed ?? true) && element.contains(getSelection().anchorNode);
    if (text === drawn || isMarked) return;
    drawn = text;
    const focused = element.contains(document.activeElement) ? document.activeElement : undefined;
    element.replaceChildren(...partsOf(choose));
    if (focused?.tabIndex >= 0)
      [...element.querySelectorAll("input, [tabindex]")]
        .find((one) => one.dataset.run === focused.dataset.run)
        ?.focus();
  }
  function choose(run, isChosen) {
    const others = shownRuns().flatMap((one) => (one.run === run ? [] : [one.run]));
    chosen = isChosen ? [...others, run] : others;
    draw();
    void ask();
  }
  void ask();
  return {
    element,
    update: () => found === undefined && void ask(),
    leave: () => ((hasLeft = true), clearTimeout(timer)),
  };
}

/** Changes with every line of a run. */
const keyOf = ({ updatedAt, step, status }) => JSON.stringify([updatedAt, step, status]);

async function read() {
  const wanted = shownRuns().filter((one) => one.status === "running" || curvesOf.get(one.run)?.key !== keyOf(one));
  const query = wanted.map(({ run }) => `curves=${encodeURIComponent(run)}`).join("&");
  const response = await fetch(`runs?${query}`);
  if (!response.ok) return;
  const isFirst = found === undefined;
  found = await response.json();
  for (const one of found.runs)
    if (one.metrics.some(({ points }) => points.length > 0))
      curvesOf.set(one.run, { key: keyOf(one), metrics: one.metrics });
  for (const run of curvesOf.keys()) if (!found.runs.some((one) => one.run === run)) curvesOf.delete(run);
  if (isFirst && found.runs.length > 0) await read();
}

/** Those whose curves are shown: as they are chosen, or the newest. */
function shownRuns() {
  const all = found?.runs ?? [];
  return chosen === undefined ? all.slice(0, FIRST_SHOWN) : all.filter(({ run }) => chosen.includes(run));
}

/** A run keeps its look as long as it is shown. */
function lookOf(run) {
  const shown = shownRuns().map((one) => one.run);
  for (const [i, holder] of looks.entries()) if (!shown.includes(holder)) looks[i] = undefined;
  if (!looks.includes(run)) looks[looks.indexOf(undefined)] = run;
  return `run${looks.indexOf(run)}`;
}

function partsOf(choose) {
  if (state.summary?.hasRuns !== true)
    return [h("p", { class: "empty dim" }, "This dashboard knows of no training runs.")];
  if (found === undefined) return [h("p", { class: "empty dim" }, "They are being read.")];
  const { runs, unreadable, total, isBehind, reason } = found;
  const shown = shownRuns();
  return [
    reason !== undefined && h("p", { class: "why" }, `They cannot be read: ${reason}`),
    h("h2", {}, `Training runs: ${total}`),
    isBehind && h("p", { class: "dim" }, "Some are still being read."),
    total > runs.length && h("p", { class: "dim" }, `The last ${runs.length} that were written to.`),
    runs.length === 0 && h("p", { class: "dim" }, "There is none that can be read."),
    runs.length > 0 && table(runs, shown, choose),
    ...unreadable.map(({ run, reason: why }) => h("p", { class: "why" }, `${run}: ${why}`)),
    ...drawings(shown),
    differences(shown),
  ].filter((part) => part !== false && part !== undefined);
}

const HEAD = ["Run", "State", "Step", "Last", "Began", "Took", "Resumed", "Checkpoints"];

function table(runs, shown, choose) {
  const isFull = shown.length >= MOST_SHOWN;
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      { class: "resources runs" },
      h("caption", { class: "hidden" }, "Training runs, newest first; the curves of those that are chosen are below"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          HEAD.map((text, i) => h("th", { scope: "col", class: i > 1 ? "number" : undefined }, text)),
        ),
      ),
      h(
        "tbody",
        {},
        runs.map((run) => row(run, shown.includes(run), isFull, choose)),
      ),
    ),
  );
}

function row(one, isShown, isFull, choose) {
  const { run, model, seed, step, startedAt, updatedAt, endedAt, resumes, checkpoints, metrics } = one;
  const [look, words, why] = stateOf(one);
  const number = (label, text) => h("td", { class: "number", "data-label": label }, text);
  const about = [model, typeof seed === "number" ? `seed ${seed}` : undefined].filter((text) => text !== undefined);
  const [first] = metrics;
  const took = timeOf(endedAt ?? updatedAt) - timeOf(startedAt);
  const box = h("input", {
    type: "checkbox",
    "data-run": run,
    checked: isShown,
    disabled: isFull && !isShown,
    onchange: ({ target }) => choose(run, target.checked),
  });
  return h(
    "tr",
    { class: look },
    h(
      "th",
      { scope: "row" },
      h("label", {}, box, " ", run, isShown && swatch(lookOf(run))),
      about.length > 0 && h("small", {}, ` ${about.join(", ")}`),
    ),
    h(
      "td",
      { "data-label": "State" },
      h("i", { class: "dot" }),
      words,
      why !== undefined && h("small", { class: "reason" }, why),
    ),
    number("Step", step === undefined ? "" : String(step)),
    number("Last", first?.last === undefined ? "" : `${first.name} ${short(first.last)}`),
    number("Began", dateOf(startedAt)),
    number("Took", took >= 0 ? duration(took) : ""),
    number("Resumed", resumes.length === 0 ? "" : `${resumes.length} × (after step ${resumes.at(-1)})`),
    number(
      "Checkpoints",
      checkpoints.length === 0 ? "" : `${checkpoints.length}, last after step ${checkpoints.at(-1)}`,
    ),
  );
}

/** How a run is: a look, words, and why. */
function stateOf({ status, isOpen, error, updatedAt, step, resumes }) {
  if (status === "finished") return ["healthy", resumes.length > 0 ? "finished, resumed before" : "finished"];
  if (status === "failed") return ["unhealthy", "failed", [error?.code, error?.message].filter(Boolean).join(": ")];
  if (isOpen) return ["working", "at work here"];
  const silentMs = found.at - timeOf(updatedAt);
  if (!(silentMs >= SILENT_MS)) return ["working", step === undefined ? "not begun" : "at work"];
  return ["degraded", `silent for ${duration(silentMs)}`, "killed or stopped; it can be resumed"];
}

function timeOf(text) {
  return Date.parse(text);
}

/** The time alone where it was today. */
function dateOf(text) {
  const at = timeOf(text);
  if (Number.isNaN(at)) return "";
  const [date, time] = new Date(at).toLocaleString("sv-SE").split(" ");
  return date === new Date(found.at).toLocaleDateString("sv-SE") ? time : `${date} ${time}`;
}

/** A value as one reads it; those that JSON cannot say are texts. */
function short(value) {
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 0.001 || size >= 1e7) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

function swatch(look) {
  return s(
    "svg",
    { class: `swatch ${look}`, viewBox: "0 0 24 8", "aria-hidden": "true" },
    s("path", { d: "M0 4H24", class: "values" }),
  );
}

function drawings(shown) {
  const lines = shown.flatMap(({ run, resumes, checkpoints }) =>
    (curvesOf.get(run)?.metrics ?? [])
      .filter(({ points }) => points.length > 0)
      .map((metric) => ({ ...metric, run, resumes, checkpoints, look: lookOf(run) })),
  );
  if (lines.length === 0) return [];
  const names = [...new Set(lines.map(({ name }) => name))];
  const byName = names.map((name) => [name, lines.filter((one) => one.name === name)]);
  const steady = byName.filter(
    ([, ones]) => new Set(ones.flatMap(({ points }) => points.map(([, y]) => y))).size === 1,
  );
  const drawn = byName.filter((one) => !steady.includes(one));
  return [
    h("h2", {}, "Metrics by step"),
    h(
      "div",
      { class: "tiles drawings" },
      drawn.map(([name, ones]) => drawing(name, ones)),
    ),
    h(
      "p",
      { class: "dim" },
      "Dashed upright lines: resumed there. Ticks at the foot: checkpoints. Red lines: a value that is not finite.",
    ),
    steady.length > 0 &&
      h(
        "p",
        {},
        `The same in all steps: ${steady.map(([name, [one]]) => `${name} ${short(one.points[0][1])}`).join(", ")}`,
      ),
  ].filter((part) => part !== false);
}

function drawing(name, lines) {
  const points = lines.flatMap((one) => one.points);
  const steps = points.map(([step]) => step);
  const values = points.map(([, value]) => value).filter((value) => typeof value === "number");
  const words = lines.map(({ run, points: one, last }) => {
    const broken = one.filter(([, value]) => typeof value !== "number").length;
    return `${run} from ${short(one[0][1])} to ${short(last)}${broken > 0 ? `, ${broken} not finite` : ""}`;
  });
  return h(
    "figure",
    { class: "tile" },
    h("figcaption", {}, name),
    h("p", { class: "dim ends" }, values.length > 0 && h("span", {}, short(Math.max(...values)))),
    curves(lines, `${name}, steps ${Math.min(...steps)} to ${Math.max(...steps)}: ${words.join("; ")}`),
    h(
      "p",
      { class: "dim ends" },
      values.length > 0 && h("span", {}, short(Math.min(...values))),
      h("span", {}, `steps ${Math.min(...steps)} to ${Math.max(...steps)}`),
    ),
    h(
      "ul",
      { class: "legend" },
      lines.map(({ run, look, last }) => h("li", {}, swatch(look), ` ${run}: ${short(last)}`)),
    ),
  );
}

/** What the shown runs began with and gave, side by side. */
function differences(shown) {
  const columns = shown.map(({ config, result }) => new Map([...flat(config, ""), ...flat(result, "result: ")]));
  const names = [...new Set(columns.flatMap((column) => [...column.keys()]))];
  if (names.length === 0) return undefined;
  const rows = names.map((name) => {
    const texts = columns.map((column) => column.get(name) ?? "");
    const differs = new Set(texts).size > 1 && !name.startsWith("result: ");
    const cell = (text) => h("td", { class: differs ? "differs" : undefined }, text);
    return h("tr", {}, h("th", { scope: "row" }, name), texts.map(cell));
  });
  const head = ["Name", ...shown.map(({ run }) => run)].map((text) => h("th", { scope: "col" }, text));
  return h(
    "div",
    {},
    h("h2", {}, "What they began with, and gave"),
    h(
      "div",
      { class: "scroll", role: "region", "aria-label": "What they began with, and gave", tabindex: 0 },
      h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)),
    ),
  );
}

/** Names and values of JSON; what is none as it is. */
function flat(text, prefix) {
  if (text === undefined) return [];
  try {
    const entries = Object.entries(JSON.parse(text));
    return entries.map(([name, value]) => [
      `${prefix}${name}`,
      typeof value === "number" ? short(value) : typeof value === "string" ? value : JSON.stringify(value),
    ]);
  } catch {
    return [[prefix, text]];
  }
}
