import type { HealthReport, HealthStatus, ResourceHealth } from "./health.ts";
import { isLeaving } from "./leaving.ts";
import type { Running } from "./running.ts";

/** What the endpoints tell about; a function where the container starts later than the endpoints serve. */
export type HealthSource = Pick<Running, "health"> | (() => Pick<Running, "health"> | undefined);

/** How health endpoints answer. */
export interface HealthEndpointOptions {
  /** Put in front of every path, such as `/internal`. Default none. */
  readonly prefix?: string;
  /** Tells why a resource is not well, in `/health/resources`: its words may name hosts. Default `false`. */
  readonly details?: boolean;
  /** What `retry-after` of a 503 says, in ms; rounded up to seconds. Default 5,000. */
  readonly retryAfterMs?: number;
}

/** An answer of a health endpoint, for whatever server sends it. */
export interface HealthAnswer {
  readonly status: 200 | 404 | 405 | 503;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON; empty for HEAD. */
  readonly body: string;
}

/** Answers a request for a health path; `undefined` for any other path. No I/O. */
export type HealthEndpoints = (method: string, path: string, headers?: Readonly<Record<string, unknown>>) => HealthAnswer | undefined;

/** What a path has to say. */
interface Finding {
  readonly status: 200 | 404 | 503;
  readonly content: unknown;
}

/**
 * Health endpoints as plain data, for any server:
 *
 * - `/livez`: the process answers. It never looks at dependencies, or one dead database would restart every instance.
 * - `/startupz`: the container has started.
 * - `/readyz`: send me traffic. It looks at resources whose `readiness` is `gate`; one whose readiness is `startup`
 *   counts by the start alone, for which it was needed, so that a blip of what all instances share empties no load balancer.
 * - `/health`: how all is, for people; 503 when a critical resource is unhealthy.
 * - `/health/resources` and `/health/resources/<name>`: the same by resource.
 *
 * @example
 * ```ts
 * import { resource } from "@steward/core";
 * import { container, healthEndpoints } from "@steward/container";
 * await using running = await container([resource("config", { start: () => ({}) })]).start();
 * const answer = healthEndpoints(running);
 * console.log(answer("GET", "/readyz")?.body); // => {"status":"ready"}
 * console.log(answer("GET", "/videos")); // => undefined
 * ```
 */
export function healthEndpoints(source: HealthSource, options: HealthEndpointOptions = {}): HealthEndpoints {
  const { prefix = "", details = false, retryAfterMs = 5_000 } = options;
  const retryAfter = String(Math.max(1, Math.ceil(retryAfterMs / 1_000)));
  return (method, path) => {
    const below = pathBelow(prefix, path);
    const find = below === undefined ? undefined : finderOf(below, details);
    if (find === undefined) return undefined;
    if (method !== "GET" && method !== "HEAD") return answer({ status: 405, content: { error: "only GET and HEAD" } }, method, { allow: "GET, HEAD" });
    const finding = find(stateOf(source));
    return answer(finding, method, finding.status === 503 ? { "retry-after": retryAfter } : {});
  };
}

interface State {
  readonly report: HealthReport | undefined;
  readonly leaving: boolean;
}

function stateOf(source: HealthSource): State {
  const running = typeof source === "function" ? source() : source;
  return { report: running?.health(), leaving: running !== undefined && isLeaving(running) };
}

/** The path without prefix, query and trailing slash. */
function pathBelow(prefix: string, path: string): string | undefined {
  const plain = path.replace(/[?#].*$/s, "").replace(/(?<=.)\/$/, "");
  return plain.startsWith(prefix) ? plain.slice(prefix.length) : undefined;
}

type Finder = (state: State) => Finding;

const RESOURCES = "/health/resources";

function finderOf(path: string, details: boolean): Finder | undefined {
  switch (path) {
    case "/livez":
      return () => ({ status: 200, content: { status: "alive" } });
    case "/startupz":
      return startup;
    case "/readyz":
      return readiness;
    case "/health":
      return health;
    case RESOURCES:
      return ({ report }) => ({ status: 200, content: { resources: report?.resources.map((resource) => shown(resource, details)) ?? [] } });
  }
  return path.startsWith(`${RESOURCES}/`) ? oneResource(path.slice(RESOURCES.length + 1), details) : undefined;
}

function startup({ report }: State): Finding {
  const started = report !== undefined && report.phase !== "idle" && report.phase !== "starting" && report.phase !== "failed";
  return { status: started ? 200 : 503, content: { status: started ? "started" : (report?.phase ?? "starting") } };
}

function readiness({ report, leaving }: State): Finding {
  if (report === undefined) return { status: 503, content: { status: "not ready", reason: "starting" } };
  if (leaving || report.phase !== "ready") return { status: 503, content: { status: "not ready", reason: leaving ? "shutting down" : report.phase } };
  const waitingFor = report.resources.filter(holdsUp).map(({ name }) => name);
  return waitingFor.length === 0 ? { status: 200, content: { status: "ready" } } : { status: 503, content: { status: "not ready", waitingFor } };
}

/** What is `startup` was up when the container became ready, and counts no longer. */
function holdsUp({ readiness: counts, status }: ResourceHealth): boolean {
  return counts === "gate" && (status === "unhealthy" || status === "unknown");
}

function health({ report }: State): Finding {
  if (report === undefined) return { status: 503, content: { status: "unknown", phase: "starting" } };
  const { status, phase, resources } = report;
  const counts = { healthy: 0, degraded: 0, unhealthy: 0, unknown: 0 } satisfies Record<HealthStatus, number>;
  for (const resource of resources) counts[resource.status] += 1;
  return { status: status === "healthy" || status === "degraded" ? 200 : 503, content: { status, phase, resources: counts } };
}

function oneResource(encoded: string, details: boolean): Finder {
  const name = decoded(encoded);
  return ({ report }) => {
    const resource = report?.resources.find((candidate) => candidate.name === name);
    if (resource === undefined) return { status: 404, content: { error: "there is no such resource" } };
    return { status: resource.status === "unhealthy" ? 503 : 200, content: shown(resource, details) };
  };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function shown(resource: ResourceHealth, details: boolean): Partial<ResourceHealth> {
  const { reason, ...rest } = resource;
  return details ? { ...rest, reason } : rest;
}

function answer({ status, content }: { readonly status: HealthAnswer["status"]; readonly content: unknown }, method: string, more: Readonly<Record<string, string>>): HealthAnswer {
  const body = JSON.stringify(content);
  const headers = { "content-type": "application/json; charset=utf-8", "content-length": String(Buffer.byteLength(body)), "cache-control": "no-store", ...more };
  return { status, headers, body: method === "HEAD" ? "" : body };
}
