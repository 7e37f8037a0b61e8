// How a resource looks, in classes and in words, the same on every screen.
import { duration, rate } from "./dom.js";

/** Classes of a resource. */
export function look({ name, status, phase, causes, lifetime }, allCauses) {
  const isOff = phase === "disabled" || phase === "not started" || phase === "given";
  return [
    status ?? (isOff ? "off" : "unknown"),
    `in-${phase.replaceAll(" ", "-")}`,
    isOff ? "off" : "",
    lifetime === "application" || lifetime === "process" ? "" : "scoped",
    allCauses.has(name) ? "cause" : "",
    causes.length > 0 ? "victim" : "",
  ]
    .filter((part) => part !== "")
    .join(" ");
}

const COMMON = new Set(["config", "logger"]);

/** Constants never change, and almost everything needs settings and logs: they are noise as long as they are well. */
export function isShown({ phase, driver, status }, withCommon) {
  return withCommon || (phase !== "given" && !(COMMON.has(driver) && status === "healthy"));
}

/** A resource in words. */
export function describe(node, allCauses) {
  const { name, driver, status, phase, reason, causes, rate: calls, p95 } = node;
  return [
    driver === undefined ? name : `${name} (${driver})`,
    status === undefined || phase === "disabled" ? phase : phase === "ready" ? status : `${status}, ${phase}`,
    allCauses.has(name) ? "root cause" : undefined,
    causes.length > 0 ? undefined : reason,
    causes.length > 0 ? `because of ${causes.join(", ")}` : undefined,
    calls === undefined || calls === null ? undefined : `${rate(calls)}`,
    p95 === undefined || p95 === null ? undefined : `95 % below ${duration(p95)}`,
  ]
    .filter((part) => part !== undefined && part !== "")
    .join(", ");
}

/** What counts most first: root causes, what suffers, the rest in the order of the graph. */
export function byUrgency(nodes) {
  const weight = ({ ownStatus, status }) =>
    ownStatus === "unhealthy" ? 3 : ownStatus === "degraded" ? 2 : status === "degraded" ? 1 : 0;
  return [...nodes].sort((a, b) => weight(b) - weight(a));
}
