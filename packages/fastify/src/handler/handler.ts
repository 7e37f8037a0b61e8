import type { ScopeNeeds } from "@steward/container/framework";
import type { Needs, ValuesOf } from "@steward/core/container";
import {
  allNeeds,
  handlerSpec,
  Route,
  type AnyHandler,
  type HandlerOptions,
  type HandlerSpec,
  type Provided,
} from "@steward/server";
import type { FastifyReply, FastifyRequest } from "fastify";
import { notRegistered, notSeen, tooEarly } from "../errors.ts";
import { living, type FastifyContext } from "./life.ts";

/** A route handler or hook with its needs. */
export type RouteHandler = (request: FastifyRequest, reply: FastifyReply, ...rest: unknown[]) => Promise<never>;

/** What such a function is, for the plugin. */
export interface FastifyHandlerSpec extends HandlerSpec {
  readonly socket: boolean;
}

const HANDLER = Symbol.for("steward.fastify.handler");

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
 * import { from, handler, steward } from "@steward/fastify";
 * const app = fastify();
 * await app.register(steward, { container: container([]) });
 * app.get("/hello", handler({ name: from.query("name") }, ({ name }) => ({ hello: name })));
 * console.log((await app.inject("/hello?name=ann")).body); // => {"hello":"ann"}
 * await app.close();
 * ```
 */
export function handler<const N extends Needs, R>(
  needs: N & ScopeNeeds<N, Provided>,
  answer: (values: ValuesOf<N>, request: FastifyRequest, reply: FastifyReply, ...rest: never[]) => R,
  options: HandlerOptions<ValuesOf<N>> = {},
): RouteHandler {
  return marked({ ...handlerSpec(needs, answer as AnyHandler, options), socket: false });
}

/**
 * Gives the handler of a WebSocket route its dependencies. They are resolved before the handshake is answered, and
 * live until the socket is closed and the handler has ended.
 *
 * A dependency that throws an `HttpError` denies the handshake with it; a `SocketError` and input that is not valid
 * close the socket with a code that browsers can see.
 */
export function socketHandler<const N extends Needs, Socket extends SocketLike>(
  needs: N & ScopeNeeds<N, Provided>,
  converse: (values: ValuesOf<N>, socket: Socket, request: FastifyRequest) => unknown,
  options: HandlerOptions = {},
): (socket: Socket, request: FastifyRequest) => Promise<void> {
  return marked({ ...handlerSpec(needs, converse as AnyHandler, options), socket: true }) as never; // the plugin calls it with what @fastify/websocket gives
}

/** What of a WebSocket is used here. */
export interface SocketLike {
  close(code?: number, reason?: string): void;
  on(event: "close", listener: () => void): unknown;
}

/** Makes the function that Fastify is given. */
function marked(spec: FastifyHandlerSpec): RouteHandler {
  const routes = new WeakMap<FastifyContext, Route>();
  const asHook = (request: FastifyRequest, reply: FastifyReply, ...rest: unknown[]): Promise<never> => {
    const app = contextOf(request.server);
    if (app === undefined) return Promise.reject(notRegistered());
    let route = routes.get(app);
    if (route === undefined) routes.set(app, (route = new Route(app, allNeeds([], spec), spec.options)));
    // Hooks are called with one more argument at least; so this is a handler, for routes that do not exist or one that came too early.
    if (rest.length === 0 && !request.is404) return Promise.reject(tooEarly());
    const life = living(app, request, reply, route.timeoutMs);
    const { answer } = spec;
    return life.hook(route, (values) => answer(values, ...([request, reply, ...rest] as never[]))); // its signature has checked all of them
  };
  // Fastify counts parameters: with two it waits for a promise.
  const hook: RouteHandler = (request, reply, ...rest) =>
    spec.socket ? Promise.reject(notSeen()) : asHook(request, reply, ...rest);
  return Object.assign(hook, { [HANDLER]: spec });
}

/** What a function is, if `handler` made it. */
export function handlerSpecOf(handler: unknown): FastifyHandlerSpec | undefined {
  return typeof handler === "function" ? (handler as { [HANDLER]?: FastifyHandlerSpec })[HANDLER] : undefined; // set by `marked` alone
}

const APP_CONTEXT = Symbol.for("steward.fastify.app");

/** Notes on an app what its routes share; plugins inside inherit it. */
export function setContext(app: object, context: FastifyContext): void {
  (app as { [APP_CONTEXT]?: FastifyContext })[APP_CONTEXT] = context; // set here alone
}

function contextOf(app: object): FastifyContext | undefined {
  return (app as { [APP_CONTEXT]?: FastifyContext })[APP_CONTEXT]; // as above
}
