import type { HealthStatus } from "@steward/core";
import { healthJson } from "./health-json.ts";
import type { HealthReport, ResourceHealth } from "./health.ts";
import { isLeaving } from "./leaving.ts";
import type { Running } from "./running.ts";

/** What the endpoints tell about; a function where the container starts later than the endpoints serve. */
export type HealthSource = Pick<Running, "health"> | (() => Pick<Running, "health"> | undefined);

/** How health endpoints answer. */
export interface HealthEndpointOptions {
  /** Put in front of every path, such as `/internal`. Default none. */
  readonly prefix?: string;
  /** Tells everybody why a resource is not well, and `/health/detailed`: the words may name hosts. For a management listener. Default `false`. */
  readonly details?: boolean;
  /** Tells it to whoever sends `authorization: Bearer <token>`. */
  readonly token?: string;
  /** What `retry-after` of a 503 says, in ms; rounded up to seconds. Default 5,000. */
  readonly retryAfterMs?: number;
}

/** An answer of a health endpoint, for whatever server sends it. */
export interface HealthAnswer {
  readonly status: 200 | 401 | 404 | 405 | 503;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON; empty for HEAD. */
  readonly body: string;
}

/** Answers a request for a health path; `undefined` for any other path. No I/O. */
export type HealthEndpoints = (
  method: string,
  path: string,
  headers?: Readonly<Record<string, unknown>>,
) => HealthAnswer | undefined;

/** What a path has to say. */
interface Finding {
  readonly status: 200 | 401 | 404 | 503;
  readonly content: unknown;
}

/** What there is to be said, and to whom. */
interface State {
  readonly report: HealthReport | undefined;
  readonly leaving: boolean;
  readonly details: boolean;
  /** True when whoever asks for details could have them with a token. */
  readonly wantsToken: boolean;
}

type Finder = (state: State) => Finding;

const JSON_TYPE = "application/json; charset=utf-8";
const HEALTH_TYPE = "application/health+json";

/**
 * Health endpoints as plain data, for any server:
 *
 * - `/livez`: the process answers. It never looks at dependencies, or one dead database would restart every instance.
 * - `/startupz`: the container has started.
 * - `/readyz`: send me traffic. It looks at resources whose `readiness` is `gate`; one whose readiness is `startup`
 *   counts by the start alone, for which it was needed, so that a blip of what all instances share empties no load balancer.
 * - `/health`: how all is, for people; 503 when a critical resource is unhealthy. `application/health+json` on request.
 * - `/health/detailed`: the same with every resource and the reasons; only with `details` or the token.
 * - `/health/resources`, `/health/resources/<name>`, `/health/dependencies` (what has a driver), `/health/services`
 *   (what has none), and `/health/<tag>`: parts of it.
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
  const { prefix = "", details = false, token, retryAfterMs = 5_000 } = options;
  const retryAfter = String(Math.max(1, Math.ceil(retryAfterMs / 1_000)));
  return (method, path, headers = {}) => {
    const below = pathBelow(prefix, path);
    const find = below === undefined ? undefined : finderOf(below);
    if (find === undefined) return undefined;
    if (method !== "GET" && method !== "HEAD")
      return answer({ status: 405, text: '{"error":"only GET and HEAD"}' }, method, { allow: "GET, HEAD" });
    const state = {
      ...stateOf(source),
      details: details || isAllowed(token, headers["authorization"]),
      wantsToken: token !== undefined,
    };
    const wantsHealthJson =
      (below === "/health" || below === "/health/detailed") && String(headers["accept"]).includes(HEALTH_TYPE);
    const { status, content } = find(state);
    const text =
      wantsHealthJson && status !== 401 && status !== 404
        ? rendered(healthJson(state.report, state.details && below === "/health/detailed"))
        : rendered(content);
    const more: Record<string, string> =
      status === 503
        ? { "retry-after": retryAfter }
        : status === 401
          ? { "www-authenticate": 'Bearer realm="health"' }
          : {};
    return answer({ status, text }, method, wantsHealthJson ? { ...more, "content-type": HEALTH_TYPE } : more);
  };
}

function stateOf(source: HealthSource): Pick<State, "report" | "leaving"> {
  const running = typeof source === "function" ? source() : source;
  return { report: running?.health(), leaving: running !== undefined && isLeaving(running) };
}

/** Compares in constant time, so that a token cannot be guessed character by character. */
function isAllowed(token: string | undefined, authorization: unknown): boolean {
  if (token === undefined || typeof authorization !== "string") return false;
  const { timingSafeEqual } = process.getBuiltinModule("node:crypto"); // loading it costs whoever has no token nothing
  const [given, wanted] = [Buffer.from(authorization), Buffer.from(`Bearer ${token}`)];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** The path without prefix, query and trailing slash. */
function pathBelow(prefix: string, path: string): string | undefined {
  const plain = path.replace(/[?#].*$/s, "").replace(/(?<=.)\/$/, "");
  return plain.startsWith(prefix) ? plain.slice(prefix.length) : undefined;
}

const FINDERS: Readonly<Record<string, Finder>> = {
  "/livez": () => ({ status: 200, content: ALIVE }),
  "/startupz": startup,
  "/readyz": readiness,
  "/health": health,
  "/health/detailed": detailed,
  "/health/resources": (state) => group(state, () => true),
  "/health/dependencies": (state) => group(state, ({ driver }) => driver !== undefined),
  "/health/services": (state) => group(state, ({ driver }) => driver === undefined),
};

const ALIVE = Object.freeze({ status: "alive" });
const READY = Object.freeze({ status: "ready" });
const RESOURCE = "/health/resources/";
const TAG = /^\/health\/([^/]+)$/;

function finderOf(path: string): Finder | undefined {
  if (Object.hasOwn(FINDERS, path)) return FINDERS[path];
  if (path.startsWith(RESOURCE)) return (state) => oneResource(state, decoded(path.slice(RESOURCE.length)));
  const tag = TAG.exec(path)?.[1];
  return tag === undefined ? undefined : (state) => byTag(state, decoded(tag));
}

function startup({ report }: State): Finding {
  const started =
    report !== undefined && report.phase !== "idle" && report.phase !== "starting" && report.phase !== "failed";
  return { status: started ? 200 : 503, content: { status: started ? "started" : (report?.phase ?? "starting") } };
}

function readiness({ report, leaving }: State): Finding {
  if (report === undefined) return { status: 503, content: { status: "not ready", reason: "starting" } };
  if (leaving || report.phase !== "ready")
    return { status: 503, content: { status: "not ready", reason: leaving ? "shutting down" : report.phase } };
  const waitingFor = report.resources.filter(holdsUp).map(({ name }) => name);
  return waitingFor.length === 0
    ? { status: 200, content: READY }
    : { status: 503, content: { status: "not ready", waitingFor } };
}

/** What is `startup` was up when the container became ready, and counts no longer. */
function holdsUp({ readiness: counts, ownStatus }: ResourceHealth): boolean {
  return counts === "gate" && (ownStatus === "unhealthy" || ownStatus === "unknown");
}

function health({ report }: State): Finding {
  if (report === undefined) return { status: 503, content: { status: "unknown", phase: "starting" } };
  return { status: statusCode(report.status), content: summary(report) };
}

const summary = remembered((report: HealthReport) => {
  const counts = { healthy: 0, degraded: 0, unhealthy: 0, unknown: 0 } satisfies Record<HealthStatus, number>;
  for (const resource of report.resources) counts[resource.status] += 1;
  return { status: report.status, phase: report.phase, resources: counts };
});

function detailed({ report, details, wantsToken }: State): Finding {
  if (!details) return wantsToken ? { status: 401, content: { error: "details need the token" } } : NOT_FOUND;
  if (report === undefined) return { status: 503, content: { status: "unknown", phase: "starting", resources: [] } };
  return { status: statusCode(report.status), content: report };
}

const NOT_FOUND: Finding = { status: 404, content: { error: "there is no such resource" } };

/** Empty is never healthy: a part without resources is not there. */
function group({ report, details }: State, belongs: (resource: ResourceHealth) => boolean): Finding {
  const resources = report?.resources.filter(belongs) ?? [];
  return { status: 200, content: { resources: resources.map((resource) => shown(resource, details)) } };
}

function byTag(state: State, tag: string | undefined): Finding {
  const resources = state.report?.resources.filter(({ tags }) => tag !== undefined && tags.includes(tag)) ?? [];
  if (resources.length === 0) return NOT_FOUND;
  const unhealthy = resources.some(
    ({ ownStatus, criticality }) => ownStatus === "unhealthy" && criticality === "critical",
  );
  return {
    status: unhealthy ? 503 : 200,
    content: { resources: resources.map((resource) => shown(resource, state.details)) },
  };
}

function oneResource({ report, details }: State, name: string | undefined): Finding {
  const resource = report?.resources.find((candidate) => candidate.name === name);
  if (resource === undefined) return NOT_FOUND;
  return { status: statusCode(resource.status), content: shown(resource, details) };
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

function shown(resource: ResourceHealth, details: boolean): unknown {
  return details ? resource : withoutReason(resource);
}

const withoutReason = remembered((resource: ResourceHealth) => {
  const { reason: _reason, ...rest } = resource;
  return rest;
});

/** Content that stays the same is written to JSON once: a report is made anew only when something changed. */
const rendered = remembered((content: object) => JSON.stringify(content)) as (content: unknown) => string; // every content is an object

function remembered<I extends object, O>(make: (input: I) => O): (input: I) => O {
  const known = new WeakMap<I, { readonly made: O }>();
  return (input) => {
    let entry = known.get(input);
    if (entry === undefined) known.set(input, (entry = { made: make(input) }));
    return entry.made;
  };
}

function answer(
  { status, text }: { readonly status: HealthAnswer["status"]; readonly text: string },
  method: string,
  more: Readonly<Record<string, string>>,
): HealthAnswer {
  const headers = {
    "content-type": JSON_TYPE,
    "content-length": String(Buffer.byteLength(text)),
    "cache-control": "no-store",
    ...more,
  };
  return { status, headers, body: method === "HEAD" ? "" : text };
}
