import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  checkShape,
  describeError,
  func,
  listOf,
  recordOf,
  shape,
  type Shape,
  text,
  wholeNumber,
} from "@steward/core/container";
import { healthEndpoints, type HealthSource } from "./endpoints.ts";
import { excludeFromTraffic } from "../main/traffic.ts";
import type { RunningContainer } from "../running.ts";

/** What a listener reports on, as far as it is known: a `RunningContainer`, or whatever else has health. */
export type ManagementSource = Pick<RunningContainer, "health"> &
  Partial<Pick<RunningContainer, "name" | "startedInMs" | "graph" | "stats" | "metrics">>;

/**
 * Something else that the management listener serves, such as metrics. It answers the whole request. `running` gives
 * what the listener reports on, and `undefined` before the start.
 */
export interface ManagementRoute {
  (request: IncomingMessage, response: ServerResponse, running: () => ManagementSource | undefined): unknown;
  /** Called when the listener stops: ends streams that go on for ever, with what they have yet to say. Default: they are cut off. */
  disconnect?(): void;
}

/** Where a management listener listens and what it serves. */
export interface ManagementOptions {
  /** Default 0: the kernel picks one. */
  readonly port?: number;
  /** Default `127.0.0.1`: it shows details, so it is not for the world. */
  readonly host?: string;
  /**
   * Names by which it may be asked besides `localhost` and IP addresses, such as `clips.internal`. Any other name in
   * the `host` header is refused, so that no page in a browser can read it through a name that leads here. Default none.
   */
  readonly hosts?: readonly string[];
  /** Put in front of the paths of health, such as `/internal`. Default none. */
  readonly prefix?: string;
  /** More paths, such as `/metrics`. One that ends in `/` gets everything below it. */
  readonly routes?: Readonly<Record<string, ManagementRoute>>;
  /** Called with its address once it listens, before the container starts. */
  readonly onListening?: (url: string) => unknown;
}

/** What the options of a management listener must be. */
export const managementShape: Shape<ManagementOptions> = /* @__PURE__ */ shape<ManagementOptions>(() => ({
  port: wholeNumber(0, 65_535),
  host: text(),
  hosts: listOf(text()),
  prefix: text(true),
  routes: recordOf(func()),
  onListening: func(),
}));

/** What has been said when the listener stops has this long to leave, in ms. */
const LEAVE_MS = 500;

/** A small server of its own for health with all details, apart from what users reach. */
export interface ManagementListener extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Ends it, with every connection. Streams that a route ends have half a second to say their last. */
  stop(): Promise<void>;
}

/**
 * Serves the health endpoints with all details, and what `routes` adds, on a port of its own. A function as `source`
 * lets it serve from before the start, as `runMain({ management })` does.
 *
 * @throws {OPTIONS_INVALID} listing every wrong option.
 * @throws What listening fails with, such as `EADDRINUSE`.
 */
export async function serveManagement(
  source: HealthSource,
  options: ManagementOptions = {},
): Promise<ManagementListener> {
  checkShape("serveManagement", managementShape, options);
  const { port = 0, host = "127.0.0.1", hosts = [], prefix = "", routes = {}, onListening } = options;
  const [{ createServer }, { isIP }] = await Promise.all([import("node:http"), import("node:net")]); // only who serves pays
  const isKnown = hostCheck(hosts, (name) => isIP(name) !== 0);
  const health = healthEndpoints(source, { details: true, prefix });
  const running = typeof source === "function" ? source : (): ManagementSource => source;
  const talking = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    if (!isKnown(request.headers.host)) return refuseHost(request, response);
    const path = (request.url ?? "/").replace(/[?#].*$/s, "");
    const route = routeOf(routes, path);
    if (route?.disconnect !== undefined) holdWhileOpen(talking, request, response);
    if (route !== undefined) return void answerBy(() => route(request, response, running), response);
    const answer = health(request.method ?? "GET", path, request.headers);
    response
      .writeHead(answer?.status ?? 404, answer?.headers ?? { "content-type": "text/plain" })
      .end(answer?.body ?? "not found\n");
  });
  excludeFromTraffic(server);
  await listen(server, port, host);
  const address = server.address() as AddressInfo; // it listens on TCP
  const stop = (): Promise<void> => end(server, new Set(Object.values(routes)), talking);
  const name = host.includes(":") ? `[${host}]` : host;
  const url = `http://${name}:${address.port}`;
  try {
    await onListening?.(url);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, port: address.port, stop, [Symbol.asyncDispose]: stop };
}

/** Connections with answers that are held: one listener for all on it, for a caller may ask a thousand times at once. */
const watched = /* @__PURE__ */ new WeakSet<object>();

/** An answer that waits for others on its connection says nothing when that closes. */
function holdWhileOpen(held: Set<ServerResponse>, { socket }: IncomingMessage, response: ServerResponse): void {
  held.add(response);
  response.once("close", () => held.delete(response));
  if (watched.has(socket)) return;
  watched.add(socket);
  socket.once("close", () => {
    for (const one of held) if (one.req.socket === socket) held.delete(one);
  });
}

/** Ends a listener. Only answers of routes that say their last are waited for. */
async function end(
  server: Server,
  routes: ReadonlySet<ManagementRoute>,
  talking: ReadonlySet<ServerResponse>,
): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  for (const route of routes) attempt(() => route.disconnect?.());
  if (talking.size > 0) await within(LEAVE_MS, [...talking].map(closing));
  server.closeAllConnections();
  await closed;
}

function closing(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => response.once("close", resolve));
}

async function within(ms: number, all: readonly Promise<void>[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([Promise.all(all), late]);
  clearTimeout(timer);
}

/** A route that fails at its end does not keep the listener from ending. */
function attempt(call: () => void): void {
  try {
    call();
  } catch {
    // its connections are cut off
  }
}

/** A name that an attacker's DNS leads here is none of ours; an address cannot be one, and a client without a name is no browser. */
function hostCheck(
  hosts: readonly string[],
  isAddress: (name: string) => boolean,
): (header: string | undefined) => boolean {
  const known = new Set(["localhost", ...hosts.map((name) => name.toLowerCase())]);
  return (header) => {
    if (header === undefined) return true;
    const name = header
      .toLowerCase()
      .replace(/:\d*$/, "")
      .replace(/^\[(.*)\]$/, "$1")
      .replace(/\.$/, "");
    return known.has(name) || name.endsWith(".localhost") || isAddress(name);
  };
}

function refuseHost({ headers }: IncomingMessage, response: ServerResponse): void {
  const error = `host ${JSON.stringify(headers.host)} is not served here; add it to the option hosts`;
  response.writeHead(421, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify({ error }));
}

/** The route of exactly this path, or the longest one that everything below belongs to. */
function routeOf(routes: Readonly<Record<string, ManagementRoute>>, path: string): ManagementRoute | undefined {
  if (Object.hasOwn(routes, path)) return routes[path];
  const above = Object.keys(routes).filter((key) => key.endsWith("/") && path.startsWith(key));
  const longest = above.reduce((best, key) => (key.length > best.length ? key : best), "");
  return longest === "" ? undefined : routes[longest];
}

/** Operators learn why a route failed; it does not end the process. */
async function answerBy(answer: () => unknown, response: ServerResponse): Promise<void> {
  try {
    await answer();
  } catch (error) {
    if (response.headersSent) response.destroy();
    else response.writeHead(500, { "content-type": "text/plain; charset=utf-8" }).end(`${describeError(error)}\n`);
  }
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      // It is all that is printed of a start that ends here.
      if (error.code === "EADDRINUSE")
        error.message += ": the management port belongs to another program; stop that, or choose another port";
      reject(error);
    });
    server.listen(port, host, resolve);
  });
}
