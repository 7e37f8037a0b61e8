// All replicas side by side: how each is, and each resource in each.
import { duration, h } from "./dom.js";
import { state } from "./state.js";

/** The screen: its element and what brings it up to date. */
export function replicasScreen() {
  const element = h("section", { "aria-label": "Replicas" });
  let shown = "";
  function update() {
    const key = JSON.stringify(state.replicas ?? null);
    if (key === shown || element.contains(document.activeElement)) return;
    shown = key;
    element.replaceChildren(...partsOf(state.replicas));
  }
  return { element, update };
}

function partsOf(found) {
  if (found === undefined) return [h("p", { class: "empty dim" }, "This dashboard knows of no other replicas.")];
  const { replicas, reason } = found;
  const hasVersions = replicas.some(({ version }) => (version ?? "") !== "");
  return [
    reason !== undefined && h("p", { class: "why" }, `Who the others are is not known: ${reason}`),
    h("h2", {}, `Replicas: ${replicas.length}`),
    table(
      ["Replica", "Health", hasVersions && "Version", "Up for", "Resources"].filter(Boolean),
      replicas.map((replica) => replicaRow(replica, replicas, hasVersions)),
    ),
    h("h2", {}, "Resources"),
    matrix(replicas),
  ].filter((part) => part !== false);
}

function nameOf({ instance, url }) {
  return instance ?? url ?? "this one";
}

function replicaRow(replica, replicas, hasVersions) {
  const { url, status, phase, version, uptimeMs, nodes, reason } = replica;
  const isLive = replica.state === "live";
  const name = nameOf(replica);
  const words = !isLive ? `unknown: ${reason}` : phase === "ready" ? status : `${status}, ${phase}`;
  return h(
    "tr",
    { class: isLive ? status : "unknown" },
    h("th", { scope: "row" }, url === undefined ? `${name} (this one)` : h("a", { href: safe(url) }, name)),
    h("td", {}, h("i", { class: "dot" }), words),
    hasVersions &&
      differing(
        version ?? "",
        usual(replicas, (one) => one.version ?? ""),
      ),
    h("td", {}, isLive ? duration(uptimeMs) : ""),
    differing(
      isLive ? String(nodes.length) : "",
      usual(replicas, (one) => String(one.nodes.length)),
    ),
  );
}

/** Only an address of the web leads anywhere. */
function safe(url) {
  return /^https?:\/\//.test(url) ? url : undefined;
}

/** What most live replicas have. */
function usual(replicas, of) {
  const counts = new Map();
  for (const replica of replicas)
    if (replica.state === "live") counts.set(of(replica), (counts.get(of(replica)) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0];
}

function differing(text, wanted) {
  const differs = text !== "" && text !== wanted;
  return h("td", { class: differs ? "differs" : undefined }, text, differs && h("small", {}, " differs"));
}

/** What is not the same everywhere, or not well, comes first. */
function matrix(replicas) {
  const names = [...new Set(replicas.flatMap(({ nodes }) => nodes.map(({ name }) => name)))];
  const byReplica = replicas.map(({ nodes }) => new Map(nodes.map((node) => [node.name, node])));
  const constant = (name) => byReplica.every((nodes) => (nodes.get(name)?.phase ?? "given") === "given");
  const rows = names
    .filter((name) => !constant(name))
    .map((name) => ({ name, cells: replicas.map((replica, i) => cellOf(replica, byReplica[i].get(name))) }));
  const isNews = ({ cells }) => {
    const known = cells.filter(({ text }) => text !== UNKNOWN);
    return known.some(({ look, text }) => (look !== "healthy" && look !== "off") || text !== known[0].text);
  };
  return table(
    ["Resource", ...replicas.map(nameOf)],
    [...rows.filter(isNews), ...rows.filter((row) => !isNews(row))].map(({ name, cells }) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, h("a", { href: `#/resource/${encodeURIComponent(name)}` }, name)),
        cells.map(({ look, text }) => h("td", { class: look }, look !== "differs" && h("i", { class: "dot" }), text)),
      ),
    ),
  );
}

const UNKNOWN = "unknown";

function cellOf(replica, node) {
  if (replica.state !== "live") return { look: "unknown", text: UNKNOWN };
  if (node === undefined) return { look: "differs", text: "not there" };
  const { status, phase } = node;
  if (status === undefined || phase === "disabled") return { look: "off", text: phase };
  return { look: status, text: phase === "ready" ? status : `${status}, ${phase}` };
}

function table(head, rows) {
  const cells = head.map((text) => h("th", { scope: "col" }, text));
  return h(
    "div",
    { class: "scroll" },
    h("table", { class: "replicas" }, h("thead", {}, h("tr", {}, cells)), h("tbody", {}, rows)),
  );
}
