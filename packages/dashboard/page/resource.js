// Everything about one resource. Its numbers are asked for once a second while it is looked at.
import { bars, line } from "./chart.js";
import { duration, h, rate, timeOfDay } from "./dom.js";
import { journalTable } from "./journal.js";
import { look, rootCauses } from "./look.js";
import { state } from "./state.js";

const EVERY_MS = 1_000;

/** The screen of a resource, by its name. */
export function resourceScreen(name) {
  const element = h("section", { "aria-label": `Resource ${name}` });
  let detail;
  let timer;
  let hasLeft = false;
  let drawnAt = 0;
  async function ask() {
    try {
      const isAsked = state.nodes.has(name) && !document.hidden;
      const response = !isAsked ? undefined : await fetch(`resource?name=${encodeURIComponent(name)}`);
      if (response?.ok) detail = await response.json();
    } catch {
      // the line above says that the connection is lost
    }
    if (hasLeft) return;
    draw();
    timer = setTimeout(ask, EVERY_MS);
  }
  function draw() {
    // What somebody reads with a keyboard or marks with a mouse stays as it is for the moment.
    const isUsed = element.contains(document.activeElement) || !(getSelection()?.isCollapsed ?? true);
    if (isUsed && performance.now() - drawnAt < 10_000) return;
    drawnAt = performance.now();
    element.replaceChildren(...partsOf(name, state.nodes.get(name), detail).filter((part) => part !== undefined));
  }
  void ask();
  return {
    element,
    update: () => element.childElementCount === 0 && draw(),
    leave: () => ((hasLeft = true), clearTimeout(timer)),
  };
}

function partsOf(name, node, detail) {
  if (node === undefined)
    return [h("h2", {}, name), h("p", { class: "dim" }, "There is no resource of this name in the graph.")];
  const roots = rootCauses(state.nodes);
  const { status, phase, driver } = node;
  return [
    h(
      "div",
      { class: `heading ${look(node, roots)}` },
      h("h2", {}, name, driver !== undefined && h("small", {}, ` ${driver}`)),
      h(
        "span",
        { class: `badge ${status ?? "unknown"}` },
        status === undefined || phase === "disabled" ? phase : phase === "ready" ? status : `${status}, ${phase}`,
      ),
      roots.has(name) && h("span", { class: "badge unhealthy" }, "root cause"),
    ),
    why(node),
    h("div", { class: "columns" }, facts(node, detail), calls(node, detail)),
    errors(detail),
    h("div", { class: "columns" }, neighbours(node), numbers(detail)),
    h("h3", {}, "What happened"),
    journalTable(
      state.journal
        .filter(({ resource }) => resource === name)
        .slice(-50)
        .reverse(),
      false,
    ),
  ];
}

function why({ reason, causes }) {
  if (causes.length > 0)
    return h("p", { class: "why" }, "It suffers from ", list(causes.map((cause) => link(cause))), ".");
  return reason === undefined ? undefined : h("p", { class: "why" }, reason);
}

function facts(node, detail) {
  const { sinceAt, startedInMs, lifetime, criticality, tags, inUse, max, pending, breaker } = node;
  return described([
    ["Health since", sinceAt === undefined ? undefined : timeOfDay(sinceAt).replace(/\.\d+$/, "")],
    ["Started in", duration(startedInMs)],
    ["Lifetime", lifetime],
    ["Criticality", criticality],
    ["Readiness", detail?.readiness],
    ["Tags", tags.join(", ")],
    ["In use", inUse === undefined ? undefined : `${inUse}${max === undefined ? "" : ` of ${max}`}`],
    ["Pending", pending],
    ["Circuit breaker", breaker],
    ["Last probe", duration(detail?.probeMs)],
    ["Last sign of life", detail?.lastCheckAt === undefined ? undefined : timeOfDay(Date.parse(detail.lastCheckAt))],
    ...Object.entries(detail?.about ?? {}).map(([key, value]) => [key, plain(value)]),
  ]);
}

function calls(node, detail) {
  const points = state.history.get(`node ${node.name}`) ?? [];
  const { latency } = detail ?? {};
  if (latency === undefined && points.length === 0)
    return h("div", {}, h("h3", {}, "Calls"), h("p", { class: "dim" }, "No call was seen since this page was opened."));
  return h(
    "div",
    {},
    h("h3", {}, "Calls"),
    h("p", {}, `${rate(node.rate)}, of which ${rate(node.errorRate)} failed`),
    line(
      points.map((point) => point.rate),
      "Calls a second, over the last minutes",
    ),
    h("p", {}, `Last 5 minutes: ${latency?.count ?? 0} calls, ${latency?.failed ?? 0} failed`),
    latency !== undefined && bars(latency.buckets, "How often each duration came in the last 5 minutes"),
    h(
      "p",
      { class: "dim" },
      [50, 95, 99].map((share) => `${share} % below ${duration(latency?.[`p${share}`]) || "?"}`).join(" · "),
    ),
  );
}

function errors(detail) {
  if ((detail?.errors ?? []).length === 0) return undefined;
  const row = ({ code, count, lastAt, message }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", class: "code" }, code),
      h("td", { class: "number" }, String(count)),
      h("td", {}, timeOfDay(lastAt)),
      h("td", {}, message),
    );
  const head = ["Code", "Count", "Last", "What it said"].map((text) => h("th", { scope: "col" }, text));
  return h(
    "div",
    {},
    h("h3", {}, "Errors since this page was opened"),
    h(
      "div",
      { class: "scroll" },
      h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, detail.errors.map(row))),
    ),
  );
}

function neighbours(node) {
  const users = [...state.nodes.values()].filter(({ needs }) => needs.some(({ name }) => name === node.name));
  const kinds = ({ kind, optional }) => [kind === "plain" ? "" : kind, optional ? "optional" : ""].filter(Boolean);
  const need = (one) => {
    const words = kinds(one).join(", ");
    return h("span", {}, link(one.name), words !== "" && h("small", {}, ` ${words}`));
  };
  return h(
    "div",
    {},
    h("h3", {}, "Needs"),
    h("p", {}, node.needs.length === 0 ? "nothing" : list(node.needs.map(need))),
    h("h3", {}, "Is needed by"),
    h("p", {}, users.length === 0 ? "nothing" : list(users.map(({ name }) => link(name)))),
  );
}

function numbers(detail) {
  const rows = flat(detail?.stats ?? {});
  if (rows.length === 0) return undefined;
  return h("div", {}, h("h3", {}, "Numbers"), described(rows));
}

/** Names with dots for what lies inside. */
function flat(value, prefix = "") {
  return Object.entries(value).flatMap(([key, inner]) => {
    const name = prefix === "" ? key : `${prefix}.${key}`;
    const isObject = typeof inner === "object" && inner !== null && !Array.isArray(inner);
    return isObject && name.split(".").length < 4 ? flat(inner, name) : [[name, plain(inner)]];
  });
}

function plain(value) {
  if (typeof value === "number") return String(Math.round(value * 1_000) / 1_000);
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}

function described(rows) {
  const known = rows.filter(([, value]) => value !== undefined && value !== "");
  return h(
    "dl",
    {},
    known.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}

function link(name) {
  return h("a", { href: `#/resource/${encodeURIComponent(name)}` }, name);
}

function list(parts) {
  return parts.flatMap((part, i) => (i === 0 ? [part] : [", ", part]));
}
