import type { HealthStatus } from "@steward/core";
import type { HealthReport, ResourceHealth } from "./report.ts";

/** `pass`, `warn` or `fail` of `application/health+json`. */
type Verdict = "pass" | "warn" | "fail";

const VERDICTS: Readonly<Record<HealthStatus, Verdict>> = {
  healthy: "pass",
  degraded: "warn",
  unhealthy: "fail",
  unknown: "fail",
};

/** A report in the format of `application/health+json`, after draft-inadarei-api-health-check-06 of the IETF. */
export function healthJson(report: HealthReport | undefined, details: boolean): object {
  if (report === undefined) return { status: "fail", output: "starting" };
  const checks = Object.fromEntries(
    report.resources.map((resource) => [`${resource.name}:responseTime`, [check(resource, details)]]),
  );
  const release = report.version === undefined ? {} : { releaseId: report.version };
  return { status: VERDICTS[report.status], ...release, ...(details ? { checks } : {}) };
}

function check({ status, driver, responseTimeMs, lastCheckAt, reason }: ResourceHealth, details: boolean): object {
  const observed = responseTimeMs === undefined ? {} : { observedValue: responseTimeMs, observedUnit: "ms" };
  const time = lastCheckAt === undefined ? {} : { time: lastCheckAt };
  const output = details && reason !== undefined ? { output: reason } : {};
  return {
    componentType: driver === undefined ? "component" : "datastore",
    status: VERDICTS[status],
    ...observed,
    ...time,
    ...output,
  };
}
