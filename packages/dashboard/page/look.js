// How a resource looks, in classes and in words, the same on every screen.
import { duration, rate } from "./dom.js";

/**
 * What is not well by itself, and needs nothing that is not: the names of root causes. What works in part because
 * something that it needs does not is a victim, although it reports that of itself.
 */
export function rootCauses(nodes) {
  const isWell = (name) => (nodes.get(name)?.ownStatus ?? "healthy") === "healthy";
  const bad = [...nodes.values()].filter(({ name, ownStatus }) => ownStatus !== "unknown" && !isWell(name));
  return new Set(bad.filter(({ needs }) => needs.every((need) => isWell(need.name))).map(({ name }) => name));
}

/** Whether it suffers from something that it needs. */
export function isVictim({ name, causes, ownStatus }, roots) {
  return causes.length > 0 || (!roots.has(name) && (ownStatus === "degraded" || ownStatus === "unhealthy"));
}

/** Classes of a resource. */
export function look(node, roots) {
  const { name, status, phase, lifetime } = node;
  const isOff = phase === "disabled" || phase === "not started" || phase === "given";
  return [
    status ?? (isOff ? "off" : "unknown"),
    `in-${phase.replaceAll(" ", "-")}`,
    isOff ? "off" : "",
    lifetime === "application" || lifetime === "process" ? "" : "scoped",
    roots.has(name) ? "cause" : "",
    isVictim(node, roots) ? "victim" : "",
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
export function describe(node, roots) {
  const { name, driver, status, phase, reason, causes, rate: calls, p95 } = node;
  return [
    driver === undefined ? name : `${name} (${driver})`,
    status === undefined || phase === "disabled" ? phase : phase === "ready" ? status : `${status}, ${phase}`,
    roots.has(name) ? "root cause" : undefined,
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
