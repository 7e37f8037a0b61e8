import type { IncomingMessage, ServerResponse } from "node:http";
import { systemClock } from "@steward/core";
import { checkShape, describeError } from "@steward/core/driver";
import { Access, type Refusal } from "./access.ts";
import type { DashboardCode } from "./errors.ts";
import { pageFile } from "./files.ts";
import { dashboardShape, type DashboardOptions } from "./options.ts";
import { Recorder } from "./recorder/recorder.ts";
import { Runs } from "./runs/runs.ts";
import { Peers } from "./replicas/peers.ts";
import type { FindSource } from "./source.ts";
import { Viewers } from "./stream.ts";
import type { DashboardView } from "./view.ts";

/** Answers requests for a dashboard: a route of a management listener, and of any server of `node:http`. */
export interface Dashboard extends Disposable {
  /**
   * Answers a request for what lies below the path where the dashboard is mounted.
   * @param running Gives the running container, and `undefined` before it starts. Management listeners hand it over.
   */
  (request: IncomingMessage, response: ServerResponse, running: FindSource): Promise<void>;
  /** The address that lets a browser in: where the dashboard is mounted, with the token. For a terminal, not for a log. */
  link(url: string): string;
  /** What the page shows, as data; the resources from the first request on, which says where they are. */
  view(): DashboardView;
  /** How many watch. */
  readonly viewers: number;
  /** Sends all viewers away, with how things stand at last. Management listeners call it when they stop. */
  disconnect(): void;
  /** Sends all viewers away and listens to nothing any more. */
  close(): void;
}

type Answer = (request: IncomingMessage, response: ServerResponse, running: FindSource) => Promise<void>;

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const SAFE = {
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

const RETRY_AFTER_S = "5";

/**
 * A page that shows the resources of a process live: the graph, health with root causes, calls, and a journal of what
 * happened. Mount it at a path that ends in `/`. It is read-only. From here on changes of phase and health, breakers and
 * restarts are kept in a small journal; calls are counted only while somebody watches.
 *
 * @throws {OPTIONS_INVALID} listing every wrong option.
 *
 * @example
 * ```ts
 * import { resource } from "@steward/core";
 * import { container, serveManagement } from "@steward/container";
 * import { dashboard } from "@steward/dashboard";
 * const board = dashboard();
 * await using running = await container([resource("cache", { start: () => new Map() })]).start();
 * await using management = await serveManagement(running, { routes: { "/steward/": board } });
 * const page = await fetch(board.link(`${management.url}/steward/`), { redirect: "manual" });
 * console.log(page.status); // => 303
 * ```
 */
export function dashboard(options: DashboardOptions = {}): Dashboard {
  checkShape("dashboard", dashboardShape, options);
  const { clock = systemClock, journal = true, journalSize = 512, maxViewers = 20 } = options;
  const access = new Access(options.token, options.hosts ?? []);
  const { runs: given, peers, peerToken = access.token } = options;
  const runs = given && new Runs(typeof given === "function" ? given : () => given, clock);
  const recorder = new Recorder(clock, { journalSize, keepsJournal: journal, hasRuns: runs !== undefined });
  const viewers = new Viewers(recorder, clock, peers && new Peers(peers, peerToken, clock));
  let isClosed = false;
  const answer = async (request: IncomingMessage, response: ServerResponse, running: FindSource): Promise<void> => {
    const asked = askedOf(request);
    if (isClosed) return refuse(response, 503, "DASHBOARD_CLOSED", "this dashboard was closed");
    if (request.method !== "GET" && request.method !== "HEAD")
      return refuse(response, 405, "DASHBOARD_METHOD_REFUSED", "only GET and HEAD", { allow: "GET, HEAD" });
    const offered = asked.query.get("t");
    const refusal = access.refusal(request);
    if (offered !== null && asked.name === "" && (refusal === undefined || refusal.status === 401))
      return trade(response, access, asked, offered, isEncrypted(request));
    if (refusal !== undefined) return refused(response, refusal);
    recorder.find = running;
    return shown(request, response, asked, { recorder, runs, viewers, maxViewers });
  };
  const route: Answer = async (request, response, running) => {
    try {
      await answer(request, response, running);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else refuse(response, 500, "DASHBOARD_FAILED", describeError(error));
    }
  };
  const disconnect = (): void => {
    viewers.close();
    runs?.forget();
  };
  const close = (): void => {
    isClosed = true;
    disconnect();
    recorder.journal.close();
  };
  const link = (url: string): string =>
    access.token === undefined ? url : `${url}?t=${encodeURIComponent(access.token)}`;
  const view = (): DashboardView => recorder.view();
  const made = Object.assign(route, { link, view, disconnect, close, [Symbol.dispose]: close });
  return Object.defineProperty(made, "viewers", { get: () => viewers.size }) as unknown as Dashboard; // with the number
}

/** What a request asks for: a name in the folder of the dashboard, wherever that is mounted. */
interface Asked {
  readonly folder: string;
  readonly name: string;
  readonly query: URLSearchParams;
}

/** Express cuts the path at which something is mounted off, and keeps the whole as `originalUrl`. */
function askedOf(request: IncomingMessage & { readonly originalUrl?: unknown }): Asked {
  const whole = typeof request.originalUrl === "string" ? request.originalUrl : (request.url ?? "/");
  const [path = "/", query = ""] = whole.split("?", 2);
  const end = path.lastIndexOf("/") + 1;
  return { folder: path.slice(0, end), name: path.slice(end), query: new URLSearchParams(query) };
}

/** Where what is asked for is found. */
interface Shown {
  readonly recorder: Recorder;
  readonly runs: Runs | undefined;
  readonly viewers: Viewers;
  readonly maxViewers: number;
}

/** Answers who may read. */
async function shown(
  request: IncomingMessage,
  response: ServerResponse,
  asked: Asked,
  { recorder, runs, viewers, maxViewers }: Shown,
): Promise<void> {
  const { name, query } = asked;
  if (name === "events") return watch(request, response, viewers, { isPeer: query.has("peer"), most: maxViewers });
  if (name === "view") return json(response, 200, recorder.view());
  if (name === "resource") return detail(response, recorder, query.get("name") ?? "");
  if (name === "runs" && runs !== undefined)
    return send(response, 200, JSON.stringify(await runs.view(query.getAll("curves"))));
  return file(request, response, asked);
}

function isEncrypted({ headers, socket }: IncomingMessage): boolean {
  return "encrypted" in socket || headers["x-forwarded-proto"] === "https";
}

/** The token is traded for a cookie, so that it stands in no history and no log of a proxy but once. */
function trade(response: ServerResponse, access: Access, asked: Asked, offered: string, encrypted: boolean): void {
  if (access.token !== undefined && !access.isOffered(offered)) {
    const error = "this is not the token of this process: each start makes a new one where none is set";
    return refused(response, { status: 401, code: "DASHBOARD_TOKEN_REQUIRED", error });
  }
  const headers = { ...SAFE, location: "./", "cache-control": "no-store" };
  const cookie = access.token === undefined ? {} : { "set-cookie": access.cookie(asked.folder, encrypted) };
  response.writeHead(303, { ...headers, ...cookie }).end();
}

function refused(response: ServerResponse, { status, code, error }: Refusal): void {
  refuse(response, status, code, error, status === 401 ? { "www-authenticate": "Bearer" } : {});
}

function refuse(
  response: ServerResponse,
  status: number,
  code: DashboardCode,
  error: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  json(response, status, { code, error }, headers);
}

function watch(
  request: IncomingMessage,
  response: ServerResponse,
  viewers: Viewers,
  { isPeer, most }: { readonly isPeer: boolean; readonly most: number },
): void {
  if (request.method === "HEAD") return refuse(response, 405, "DASHBOARD_METHOD_REFUSED", "only GET", { allow: "GET" });
  if (viewers.hasRoom(isPeer, most)) return viewers.add(request, response, isPeer);
  const error = `${most} viewers watch already; close one, or raise maxViewers`;
  refuse(response, 503, "DASHBOARD_FULL", error, { "retry-after": RETRY_AFTER_S });
}

function detail(response: ServerResponse, recorder: Recorder, name: string): void {
  const found = recorder.detail(name);
  if (found === undefined) refuse(response, 404, "DASHBOARD_NOT_FOUND", "there is no resource of this name");
  else json(response, 200, found);
}

async function file(request: IncomingMessage, response: ServerResponse, { name }: Asked): Promise<void> {
  const found = await pageFile(name === "" ? "index.html" : name);
  if (found === undefined) return refuse(response, 404, "DASHBOARD_NOT_FOUND", "not found");
  const { type, etag, plain, zipped } = found;
  const headers = { ...SAFE, etag, "cache-control": "no-cache", vary: "accept-encoding" };
  if (request.headers["if-none-match"] === etag) return void response.writeHead(304, headers).end();
  const isZipped = /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""));
  const body = isZipped ? zipped : plain;
  response.writeHead(200, {
    ...headers,
    "content-type": type,
    "content-length": body.length,
    ...(isZipped ? { "content-encoding": "gzip" } : {}),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

function json(
  response: ServerResponse,
  status: number,
  content: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  send(response, status, JSON.stringify(content, plainly()), headers);
}

function send(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const kind = { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" };
  response.writeHead(status, { ...SAFE, ...kind, ...headers }).end(text);
}

/** Stats of drivers may hold what JSON cannot say, such as themselves. */
function plainly(): (this: unknown, key: string, value: unknown) => unknown {
  const above: unknown[] = [];
  return function plain(_key, value) {
    if (typeof value === "bigint") return Number(value);
    if (typeof value === "function" || typeof value === "symbol") return undefined;
    if (typeof value !== "object" || value === null) return value;
    while (above.length > 0 && above.at(-1) !== this) above.pop();
    if (above.includes(value)) return "[circular]";
    above.push(value);
    return value;
  };
}
