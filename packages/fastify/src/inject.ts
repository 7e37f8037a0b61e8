import type { ScopeNeeds } from "@steward/container";
import { assertShape, runWithContext, type Need, type Needs, type ValuesOf } from "@steward/core";
import type { FastifyReply, FastifyRequest } from "fastify";
import { assertNeeds } from "./needs.ts";
import { injectShape } from "./options.ts";
import type { Provided } from "./request-inputs.ts";
import { Route, type AnyHandler, type Surroundings } from "./route.ts";
import { notRegistered, notSeen, tooEarly, type Visit } from "./visit.ts";

/** How a handler's dependencies are resolved. */
export interface InjectOptions {
  /** Resolved before the needs, for what they do: their values go to nobody. */
  readonly dependencies?: readonly Need[];
  /** `true`: what does not need one another is made at the same time. Default: one after the other, as written. */
  readonly parallel?: boolean;
  /** How long a request may take, in ms, before managed calls are given up; 0 for no deadline. Default: that of the plugin. */
  readonly timeoutMs?: number;
}

/** A route handler or hook with its needs. */
export type Injected = (request: FastifyRequest, reply: FastifyReply, ...rest: unknown[]) => Promise<never>;

/** What an injected function is, for the plugin. */
export interface Injection {
  readonly needs: Needs;
  readonly handler: AnyHandler;
  readonly options: InjectOptions;
  readonly socket: boolean;
}

const INJECTION = Symbol.for("steward.fastify.injection");
const VISIT: unique symbol = Symbol.for("steward.fastify.visit") as never; // one symbol for all copies

/** A request with its visit. */
interface Visited {
  [VISIT]?: Visit | undefined;
}

/** The property of requests that holds their visit. */
export const visitKey: symbol = VISIT;

/** The visit of a request. */
export function visitOf(request: FastifyRequest): Visit | undefined {
  return (request as Visited)[VISIT]; // set here alone
}

/** Notes the visit of a request. */
export function setVisit(request: FastifyRequest, visit: Visit): Visit {
  (request as Visited)[VISIT] = visit; // as above
  return visit;
}

/**
 * Gives a handler its dependencies: application resources, what is made for each request, and inputs of the request,
 * in one graph. For routes, and for hooks of routes, plugins or the whole app.
 *
 * Dependencies of the lifetime `handler` commit when the handler has settled, before headers go out; those of the
 * lifetime `request` are released when the response is over too, however it ended. A handler's error is thrown into
 * both before the error handler sees it.
 *
 * @throws {NOT_REGISTERED} at a request, when the app has no steward plugin.
 *
 * @example
 * ```ts
 * import { fastify } from "fastify";
 * import { container } from "@steward/container";
 * import { inject, query, steward } from "@steward/fastify";
 * const app = fastify();
 * await app.register(steward, { container: container([]) });
 * app.get("/hello", inject({ name: query("name") }, ({ name }) => ({ hello: name })));
 * console.log((await app.inject("/hello?name=ann")).body); // => {"hello":"ann"}
 * await app.close();
 * ```
 */
export function inject<const N extends Needs, R>(
  needs: N & ScopeNeeds<N, Provided>,
  handler: (values: ValuesOf<N>, request: FastifyRequest, reply: FastifyReply, ...rest: never[]) => R,
  options: InjectOptions = {},
): Injected {
  return marked({ needs, handler: handler as AnyHandler, options, socket: false });
}

/**
 * Gives the handler of a WebSocket route its dependencies. They are resolved before the handshake is answered, and
 * live until the socket is closed and the handler has ended.
 *
 * A dependency that throws an `HttpError` denies the handshake with it; a `SocketError` and input that is not valid
 * close the socket with a code that browsers can see.
 */
export function injectSocket<const N extends Needs, Socket extends SocketLike>(
  needs: N & ScopeNeeds<N, Provided>,
  handler: (values: ValuesOf<N>, socket: Socket, request: FastifyRequest) => unknown,
  options: InjectOptions = {},
): (socket: Socket, request: FastifyRequest) => Promise<void> {
  return marked({ needs, handler: handler as AnyHandler, options, socket: true }) as never; // the plugin calls it with what @fastify/websocket gives
}

/** What of a WebSocket is used here. */
export interface SocketLike {
  close(code?: number, reason?: string): void;
  on(event: "close", listener: () => void): unknown;
}

/** Makes the function that Fastify is given. @throws {NEED_INVALID} when a need is no definition, most often for want of an import. */
function marked(injection: Injection): Injected {
  const { needs, options } = injection;
  assertShape("a handler", injectShape, options);
  assertNeeds("a handler", { ...needs, ...options.dependencies } as Needs); // it looks at the values alone
  const routes = new WeakMap<Surroundings, Route>();
  const asHook = (request: FastifyRequest, reply: FastifyReply, ...rest: unknown[]): Promise<never> => {
    const surroundings = surroundingsOf(request.server);
    if (surroundings === undefined) return Promise.reject(notRegistered());
    let route = routes.get(surroundings);
    if (route === undefined)
      routes.set(surroundings, (route = new Route(surroundings, allNeeds([], injection), injection.options)));
    // Hooks are called with one more argument at least; so this is a handler, for routes that do not exist or one that came too early.
    if (rest.length === 0 && !request.is404) return Promise.reject(tooEarly());
    return runHook(route, injection.handler, request, reply, rest);
  };
  // Fastify counts parameters: with two it waits for a promise.
  const hook: Injected = (request, reply, ...rest) =>
    injection.socket ? Promise.reject(notSeen()) : asHook(request, reply, ...rest);
  return Object.assign(hook, { [INJECTION]: injection });
}

/** What a function is, if `inject` made it. */
export function injectionOf(handler: unknown): Injection | undefined {
  return typeof handler === "function" ? (handler as { [INJECTION]?: Injection })[INJECTION] : undefined; // set by `marked` alone
}

/** The needs of a route: first those of the app, its plugins and the route, for what they do; then the handler's own. */
export function allNeeds(outer: readonly Need[], { needs, options }: Injection): Needs {
  const before = [...outer, ...(options.dependencies ?? [])].map((need, i) => [`dependency ${i}`, need] as const);
  return before.length === 0 ? needs : { ...Object.fromEntries(before), ...needs };
}

const SURROUNDINGS = Symbol.for("steward.fastify.surroundings");

/** Notes on an app what its routes share; plugins inside inherit it. */
export function setSurroundings(app: object, surroundings: Surroundings): void {
  (app as { [SURROUNDINGS]?: Surroundings })[SURROUNDINGS] = surroundings; // set here alone
}

function surroundingsOf(app: object): Surroundings | undefined {
  return (app as { [SURROUNDINGS]?: Surroundings })[SURROUNDINGS]; // as above
}

async function runHook(
  route: Route,
  handler: AnyHandler,
  request: FastifyRequest,
  reply: FastifyReply,
  rest: readonly unknown[],
): Promise<never> {
  const before = visitOf(request);
  const visit = before?.isOpen === true ? before : setVisit(request, route.visit(request, reply));
  visit.watch();
  visit.begin();
  try {
    return await runWithContext(visit, async () => {
      await route.resolve(visit);
      return handler(visit.resolved as never, ...([request, reply, ...rest] as never[])) as never; // `inject` has checked all of them
    });
  } catch (error) {
    return await visit.fail(error);
  } finally {
    visit.end();
  }
}
