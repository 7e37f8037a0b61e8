import { bearerCheck, checkShape, flag, milliseconds, shape, type Shape, text } from "@steward/core/container";
import { finderOf, remembered, type Finding, type HealthState } from "./documents.ts";
import { healthJson } from "./json.ts";
import { isShutdownAnnounced } from "../main/shutdown-announced.ts";
import type { RunningContainer } from "../running.ts";

/** What the endpoints report; a function where the container starts later than the endpoints serve. */
export type HealthSource = Pick<RunningContainer, "health"> | (() => Pick<RunningContainer, "health"> | undefined);

/** How health endpoints answer. */
export interface HealthEndpointOptions {
  /** Put in front of every path, such as `/internal`. Default none. */
  readonly prefix?: string;
  /** Shows every caller why a resource is not well, and `/health/detailed`: the words may name hosts. For a management listener. Default `false`. */
  readonly details?: boolean;
  /** Shows it to callers that send `authorization: Bearer <token>`. */
  readonly token?: string;
  /** What `retry-after` of a 503 says, in ms; rounded up to seconds. Default 5,000. */
  readonly retryAfterMs?: number;
}

/** What the options of health endpoints must be. */
const healthEndpointShape: Shape<HealthEndpointOptions> = /* @__PURE__ */ shape<HealthEndpointOptions>(() => ({
  prefix: text(true),
  details: flag(),
  token: text(),
  retryAfterMs: milliseconds(0),
}));

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
 * - `/health/resources`, `/health/dependencies` (what has a driver), `/health/services` (what has none), `/health/<tag>`:
 *   parts of it; 503 when one of their critical resources is unhealthy, 404 where a part has none.
 * - `/health/resources/<name>`: one resource, 503 when it is unhealthy.
 *
 * Each says when it was read (`timestamp`), the `version` of the app, and for how long the container has been up
 * (`uptimeMs`). Before the start all of them are 503 but `/livez`, and so is an empty container.
 *
 * @example
 * ```ts
 * import { resource } from "@steward/core";
 * import { container, healthEndpoints } from "@steward/container";
 * await using running = await container([resource("config", { start: () => ({}) })]).start();
 * const answer = healthEndpoints(running);
 * console.log(JSON.parse(answer("GET", "/readyz")?.body ?? "").status); // => ready
 * console.log(answer("GET", "/videos")); // => undefined
 * ```
 */
export function healthEndpoints(source: HealthSource, options: HealthEndpointOptions = {}): HealthEndpoints {
  checkShape("healthEndpoints", healthEndpointShape, options);
  const { prefix = "", details = false, token, retryAfterMs = 5_000 } = options;
  const retryAfter = String(Math.max(1, Math.ceil(retryAfterMs / 1_000)));
  const hasToken = token === undefined ? () => false : bearerCheck(token);
  return (method, path, headers = {}) => {
    const below = pathBelow(prefix, path);
    const find = below === undefined ? undefined : finderOf(below);
    if (below === undefined || find === undefined) return undefined;
    if (method !== "GET" && method !== "HEAD") return answer(ONLY_READ, method, retryAfter);
    const running = typeof source === "function" ? source() : source;
    const state: HealthState = {
      report: running?.health(),
      leaving: running !== undefined && isShutdownAnnounced(running),
      details: details || hasToken(headers["authorization"]),
      wantsToken: token !== undefined,
    };
    return answer(asAsked(find(state), state, below, headers["accept"]), method, retryAfter);
  };
}

/** What is sent, whatever the method. */
interface Reply {
  readonly status: HealthAnswer["status"];
  readonly content: object;
  readonly type?: string;
}

const ONLY_READ: Reply = { status: 405, content: { error: "only GET and HEAD" } };

/** The whole of health also as `application/health+json`, where that was asked for. */
function asAsked(finding: Finding, { report, details }: HealthState, path: string, accept: unknown): Reply {
  const isWhole = path === "/health" || path === "/health/detailed";
  if (!isWhole || !String(accept).includes(HEALTH_TYPE)) return finding;
  if (finding.status === 401 || finding.status === 404) return { ...finding, type: HEALTH_TYPE };
  const content = healthJson(report, details && path === "/health/detailed");
  return { status: finding.status, content, type: HEALTH_TYPE };
}

/** The path without prefix, query and trailing slash. */
function pathBelow(prefix: string, path: string): string | undefined {
  const plain = path.replace(/[?#].*$/s, "").replace(/(?<=.)\/$/, "");
  return plain.startsWith(prefix) ? plain.slice(prefix.length) : undefined;
}

/** Headers that belong to a status. */
function headersOf(status: HealthAnswer["status"], retryAfter: string): Readonly<Record<string, string>> {
  if (status === 503) return { "retry-after": retryAfter };
  if (status === 401) return { "www-authenticate": 'Bearer realm="health"' };
  return status === 405 ? { allow: "GET, HEAD" } : {};
}

/** Content that stays the same is written to JSON once. */
const rendered = remembered((content: object) => JSON.stringify(content));

function answer({ status, content, type = JSON_TYPE }: Reply, method: string, retryAfter: string): HealthAnswer {
  const text = rendered(content);
  const headers = {
    "content-type": type,
    "content-length": String(Buffer.byteLength(text)),
    "cache-control": "no-store",
    ...headersOf(status, retryAfter),
  };
  return { status, headers, body: method === "HEAD" ? "" : text };
}
