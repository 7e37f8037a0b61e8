import { statusOf, type HealthReport, type ResourceHealth } from "./report.ts";
import type { HealthStatus } from "@steward/core";

/** What a path has to say. */
export interface Finding {
  readonly status: 200 | 401 | 404 | 503;
  readonly content: object;
}

/** What there is to be said, and to whom. */
export interface HealthState {
  /** `undefined` before the container begins to start. */
  readonly report: HealthReport | undefined;
  readonly leaving: boolean;
  readonly details: boolean;
  /** True when a caller who asks for details could have them with a token. */
  readonly wantsToken: boolean;
}

/** Finds what one path has to say. */
export type Finder = (state: HealthState) => Finding;

const FINDERS: Readonly<Record<string, Finder>> = {
  "/livez": ({ report }) => ({ status: 200, content: report === undefined ? aliveSince(undefined) : alive(report) }),
  "/startupz": startup,
  "/readyz": readiness,
  "/health": health,
  "/health/detailed": detailed,
  "/health/resources": (state) => group(state, () => true) ?? empty(state),
  "/health/dependencies": (state) => group(state, ({ driver }) => driver !== undefined) ?? NOT_FOUND,
  "/health/services": (state) => group(state, ({ driver }) => driver === undefined) ?? NOT_FOUND,
};

const NOT_FOUND: Finding = { status: 404, content: { error: "there is no such resource" } };
const RESOURCE = "/health/resources/";
const TAG = /^\/health\/([^/]+)$/;

/** What answers a path; `undefined` where it is no path of health. */
export function finderOf(path: string): Finder | undefined {
  if (Object.hasOwn(FINDERS, path)) return FINDERS[path];
  if (path.startsWith(RESOURCE)) return (state) => oneResource(state, decoded(path.slice(RESOURCE.length)));
  const tag = TAG.exec(path)?.[1];
  return tag === undefined ? undefined : (state) => byTag(state, decoded(tag));
}

/** What every document begins with. Facts are read when something changed, and at least every second while someone asks. */
function head(report: HealthReport | undefined): object {
  return report === undefined
    ? { timestamp: new Date().toISOString(), uptimeMs: 0 }
    : { timestamp: report.timestamp, version: report.version, uptimeMs: report.uptimeMs };
}

function aliveSince(report: HealthReport | undefined): object {
  return { status: "alive", ...head(report) };
}

const alive = remembered((report: HealthReport) => aliveSince(report));
const ready = remembered((report: HealthReport) => ({ status: "ready", ...head(report) }));

function startup({ report }: HealthState): Finding {
  const phase = report?.phase ?? "starting";
  const started = phase !== "idle" && phase !== "starting" && phase !== "failed";
  return { status: started ? 200 : 503, content: { status: started ? "started" : phase, ...head(report) } };
}

function readiness({ report, leaving }: HealthState): Finding {
  const obstacle = obstacleTo(report, leaving);
  if (report !== undefined && obstacle === undefined) return { status: 200, content: ready(report) };
  return { status: 503, content: { status: "not ready", ...obstacle, ...head(report) } };
}

/** Why no traffic is to be sent, or `undefined`. */
function obstacleTo(report: HealthReport | undefined, leaving: boolean): object | undefined {
  if (report === undefined) return { reason: "starting" };
  if (leaving) return { reason: "shutting down" };
  if (report.phase !== "ready") return { reason: report.phase };
  if (report.status === "unknown") return { reason: "the container is empty" };
  const waitingFor = report.resources.filter(holdsUp).map(({ name }) => name);
  return waitingFor.length === 0 ? undefined : { waitingFor };
}

/** What is `startup` was up when the container became ready, and counts no longer. */
function holdsUp({ readiness: counts, ownStatus }: ResourceHealth): boolean {
  return counts === "gate" && (ownStatus === "unhealthy" || ownStatus === "unknown");
}

function health({ report }: HealthState): Finding {
  if (report === undefined) return notBegun(undefined);
  return { status: statusCode(report.status), content: summary(report) };
}

function notBegun(resources: readonly [] | undefined): Finding {
  return { status: 503, content: { status: "unknown", phase: "starting", ...head(undefined), resources } };
}

const summary = remembered((report: HealthReport) => {
  const all = report.resources.length;
  const ready = report.resources.filter(({ phase }) => phase === "ready").length;
  const counts = { healthy: 0, degraded: 0, unhealthy: 0, unknown: 0 } satisfies Record<HealthStatus, number>;
  for (const resource of report.resources) counts[resource.status] += 1;
  return { status: report.status, phase: report.phase, ...head(report), resources: { all, ready, ...counts } };
});

function detailed({ report, details, wantsToken }: HealthState): Finding {
  if (!details) return wantsToken ? { status: 401, content: { error: "details need the token" } } : NOT_FOUND;
  return report === undefined ? notBegun([]) : { status: statusCode(report.status), content: report };
}

/** Resources that belong together, as well as they are together; `undefined` where there are none. */
function group({ report, details }: HealthState, belongs: (resource: ResourceHealth) => boolean): Finding | undefined {
  if (report === undefined) return notBegun([]);
  const members = report.resources.filter(belongs);
  if (members.length === 0) return undefined;
  const status = statusOf(report.phase, members);
  const resources = members.map((resource) => shown(resource, details));
  return { status: statusCode(status), content: { status, ...head(report), resources } };
}

/** A container without resources is not well: nothing is there that could be. */
function empty({ report }: HealthState): Finding {
  return { status: 503, content: { status: "unknown", ...head(report), resources: [] } };
}

function byTag(state: HealthState, tag: string | undefined): Finding {
  return group(state, ({ tags }) => tag !== undefined && tags.includes(tag)) ?? NOT_FOUND;
}

function oneResource({ report, details }: HealthState, name: string | undefined): Finding {
  if (report === undefined) return notBegun([]);
  const resource = report.resources.find((candidate) => candidate.name === name);
  if (resource === undefined) return NOT_FOUND;
  const status = report.phase === "ready" || report.phase === "draining" ? statusCode(resource.status) : 503;
  return { status, content: { ...shown(resource, details), ...head(report) } };
}

function statusCode(status: HealthStatus): 200 | 503 {
  return status === "healthy" || status === "degraded" ? 200 : 503;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function shown(resource: ResourceHealth, details: boolean): object {
  return details ? resource : withoutReason(resource);
}

const withoutReason = remembered((resource: ResourceHealth) => {
  const { reason: _reason, about: _about, ...rest } = resource;
  return rest;
});

/** Makes something once for each input: a report is made anew only when something changed, or after a second. */
export function remembered<I extends object, O>(make: (input: I) => O): (input: I) => O {
  const known = new WeakMap<I, { readonly made: O }>();
  return (input) => {
    let entry = known.get(input);
    if (entry === undefined) known.set(input, (entry = { made: make(input) }));
    return entry.made;
  };
}
