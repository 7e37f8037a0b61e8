// Lines of the journal as a table.
import { h, timeOfDay } from "./dom.js";

const BAD = new Set(["unhealthy", "failed", "open", "ended"]);
const MIDDLE = new Set(["degraded", "starting", "draining", "stopping", "half-open", "ramp", "runs again", "began"]);

/** The lines as they are given; `withNames` where they are of several resources. */
export function journalTable(entries, withNames = true) {
  if (entries.length === 0) return h("p", { class: "dim" }, "Nothing is known.");
  const head = ["Time", withNames && "Resource", "What", "Why"].filter((text) => text !== false);
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      { class: "journal" },
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
        entries.map((entry) => row(entry, withNames)),
      ),
    ),
  );
}

function row({ at, count, kind, resource, container, from, to, reason }, withNames) {
  const name = resource ?? container ?? "";
  const hasPage = resource !== undefined && resource !== container;
  const words =
    { breaker: "circuit ", restart: "restart ", shutdown: "shutdown ", background: "background work " }[kind] ?? "";
  return h(
    "tr",
    {
      class: BAD.has(to)
        ? "unhealthy"
        : MIDDLE.has(to)
          ? "degraded"
          : to === "healthy" || to === "ready"
            ? "healthy"
            : "unknown",
    },
    h("td", { class: "time" }, timeOfDay(at)),
    withNames && h("td", {}, hasPage ? h("a", { href: `#/resource/${encodeURIComponent(resource)}` }, name) : name),
    h(
      "td",
      {},
      h("i", { class: "dot" }),
      `${words}${to}`,
      from !== undefined && h("small", {}, ` after ${from}`),
      count > 1 && ` × ${count}`,
    ),
    h("td", { class: "reason" }, reason ?? ""),
  );
}
