import type { IncomingMessage, ServerResponse } from "node:http";
import type { NodeExchange } from "../exchange.ts";
import type { AppHandler, JoinedApp } from "./joined-app.ts";

/** A request of an app of Express's that is joined with a container. */
export interface EnteredExpress {
  readonly joined: JoinedApp;
  readonly exchange: NodeExchange;
}

const OF_REQUEST = Symbol.for("steward.express.request"); // one symbol for all copies

/** Middleware that comes before everything else: a request begins, and is answered here where no route has to be asked. */
export function enterExpress(
  joined: JoinedApp,
): (request: IncomingMessage, response: ServerResponse, next: () => void) => void {
  return (request, response, next) => {
    const exchange = joined.begin(request, response);
    Object.assign(request, { [OF_REQUEST]: { joined, exchange } satisfies EnteredExpress });
    if (joined.answerHealth(exchange)) return;
    const refusal = joined.refusal(exchange);
    if (refusal === undefined) next();
    else joined.errors.send(refusal, exchange);
  };
}

/** What {@link enterExpress} has begun. */
export function enteredExpress(request: object): EnteredExpress | undefined {
  return (request as { [OF_REQUEST]?: EnteredExpress })[OF_REQUEST]; // set by `enterExpress` alone
}

/** Whether Express takes the address that the furthest of many proxies says: any client can be that. */
export function expressTrustsEverybody(app: { get(name: string): unknown }): boolean {
  const trusts: unknown = app.get("trust proxy fn");
  return typeof trusts === "function" && trusts(ANYBODY, MANY_HOPS) === true;
}

/** An address of documentation (RFC 5737), which no proxy has. */
const ANYBODY = "192.0.2.1";
const MANY_HOPS = 1_000;

/** A route, as far as it is looked at. */
interface Route {
  readonly path: unknown;
  readonly stack: readonly Layer[];
  readonly methods: Readonly<Record<string, boolean>>;
}

/** As much of a layer of Express's router as is looked at. */
interface Layer {
  readonly handle: unknown;
  readonly path?: string;
  readonly route?: Route;
  /** What it has taken of the path; the first versions of Express 5 note that in `path` instead, and say `true`. */
  match(path: string): boolean | null | { readonly path: string };
}

function layersOf(router: unknown): readonly Layer[] {
  const { stack } = router as { readonly stack?: readonly Layer[] };
  return Array.isArray(stack) ? stack : [];
}

/** Every function of the routes of an app or a router, those of its routers too. */
export function* expressHandlers(router: unknown): Iterable<AppHandler> {
  for (const { handle, route } of layersOf(router))
    if (route !== undefined) for (const inner of route.stack) yield { name: nameOf(route), handle: inner.handle };
    else if (typeof handle === "function") yield* expressHandlers(handle);
}

function nameOf({ methods, path }: Route): string {
  return `${Object.keys(methods).join().toUpperCase()} ${String(path)}`;
}

/** The methods that an app or a router has for a path; what answers any method does not count. */
export function* expressMethods(router: unknown, path: string): Iterable<string> {
  for (const layer of layersOf(router)) {
    const match = layer.match(path);
    if (match === false || match === null) continue;
    const { path: taken = "" } = match === true ? layer : match;
    if (layer.route === undefined) yield* expressMethods(layer.handle, path.slice(taken.length) || "/");
    else for (const method of Object.keys(layer.route.methods)) if (method !== "_all") yield method.toUpperCase();
  }
}
