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
  return [
    reason !== undefined && h("p", { class: "why" }, `Who the others are is not known: ${reason}`),
    h("h2", {}, `Replicas: ${replicas.length}`),
    table(
      ["Replica", "Health", "Version", "Up for", "Resources"],
      replicas.map((replica) => replicaRow(replica, replicas)),
    ),
    h("h2", {}, "Resources"),
    matrix(replicas),
  ].filter((part) => part !== false);
}

function nameOf({ instance, url }) {
  return instance ?? url ?? "this one";
}

function replicaRow(replica, replicas) {
  const { url, status, phase, version, uptimeMs, nodes, reason } = replica;
  const isLive = replica.state === "live";
  const name = nameOf(replica);
  const words = !isLive ? `unknown: ${reason}` : phase === "ready" ? status : `${status}, ${phase}`;
  return h(
    "tr",
    { class: isLive ? status : "unknown" },
    h("th", { scope: "row" }, url === undefined ? `${name} (this one)` : h("a", { href: safe(url) }, name)),
    h("td", {}, h("i", { class: "dot" }), words),
    differing(
      version ?? "",
      usual(replicas, (one) => one.version ?? ""),
    ),
    h("td", { class: "number" }, isLive ? duration(uptimeMs) : ""),
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

function matrix(replicas) {
  const names = [...new Set(replicas.flatMap(({ nodes }) => nodes.map(({ name }) => name)))];
  const byReplica = replicas.map(({ nodes }) => new Map(nodes.map((node) => [node.name, node])));
  const constant = (name) => byReplica.every((nodes) => (nodes.get(name)?.phase ?? "given") === "given");
  return table(
    ["Resource", ...replicas.map(nameOf)],
    names
      .filter((name) => !constant(name))
      .map((name) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, h("a", { href: `#/resource/${encodeURIComponent(name)}` }, name)),
          replicas.map((replica, i) => cell(replica, byReplica[i].get(name))),
        ),
      ),
  );
}

function cell(replica, node) {
  if (replica.state !== "live") return h("td", { class: "unknown" }, h("i", { class: "dot" }), "unknown");
  if (node === undefined) return h("td", { class: "differs" }, "not there");
  const { status, phase } = node;
  const words =
    status === undefined || phase === "disabled" ? phase : phase === "ready" ? status : `${status}, ${phase}`;
  return h("td", { class: status ?? "unknown" }, h("i", { class: "dot" }), words);
}

function table(head, rows) {
  const cells = head.map((text) => h("th", { scope: "col" }, text));
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, cells)), h("tbody", {}, rows)));
}
