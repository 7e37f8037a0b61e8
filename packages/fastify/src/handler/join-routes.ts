import { Readable } from "node:stream";
import type { AnyDefinition, Needs } from "@steward/core/container";
import {
  describe,
  discardStream,
  rootOf,
  Route,
  strictQuery,
  allNeeds,
  type AnyHandler,
  type SentAnswer,
} from "@steward/server";
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from "fastify";
import { dependenciesOf } from "../app/dependencies.ts";
import type { Documentation } from "../document/openapi.ts";
import { isKeptByHooks } from "./deadline.ts";
import { handlerSpecOf, type FastifyHandlerSpec } from "./handler.ts";
import { lifeOf, living, type FastifyContext } from "./life.ts";
import { socketRoute } from "./socket.ts";

/** The routes of an app that have needs. */
export interface Joined {
  readonly routes: readonly Route[];
  /** What holds what they need, for a container of the app's own; both grow with the routes. */
  readonly roots: readonly AnyDefinition[];
}

/** Gives each route with needs its handler, and the document what it takes. */
export function joinRoutes(
  app: FastifyInstance,
  context: FastifyContext,
  documentation: Documentation,
  strict: boolean,
): Joined {
  const [routes, roots]: [Route[], AnyDefinition[]] = [[], []];
  app.addHook("onRoute", function (options) {
    const name = `${[options.method].flat().join()} ${options.url}`;
    for (const hook of hooksOf(options)) roots.push(rootOf(name, [], hook));
    const spec = handlerSpecOf(options.handler) ?? handlerSpecOf((options as SocketOptions).wsHandler);
    if (spec === undefined) return;
    const needs = allNeeds(dependenciesOf(this), spec);
    const route = new Route(context, strict ? withStrictQuery(needs) : needs, spec.options);
    routes.push(route);
    roots.push(rootOf(name, dependenciesOf(this), spec));
    if (spec.socket) joinSocket(options, context, route, spec);
    else {
      const handler = answering(context, route, spec.answer);
      options.handler = handler;
      documentation.note(handler, route.description);
      joinHooks(options, route);
    }
  });
  return { routes, roots };
}

const HOOKS = [
  "onRequest",
  "preParsing",
  "preValidation",
  "preHandler",
  "preSerialization",
  "onSend",
  "onResponse",
] as const;

/** Hooks of a route that have needs. */
function hooksOf(options: RouteOptions): FastifyHandlerSpec[] {
  return HOOKS.flatMap((name) =>
    [(options[name] ?? []) as unknown].flat().flatMap((hook) => handlerSpecOf(hook) ?? []),
  ); // Fastify has checked what they are
}

/** Checked last: a client that may not ask learns that first. */
function withStrictQuery(needs: Needs): Needs {
  return { ...needs, "strict query": strictQuery(describe(needs)) };
}

/** What @fastify/websocket adds to routes. */
type SocketOptions = RouteOptions & { wsHandler?: unknown };

function joinSocket(options: SocketOptions, context: FastifyContext, route: Route, spec: FastifyHandlerSpec): void {
  const { before, handle } = socketRoute(context, route, spec.answer);
  options.preHandler = [...[options.preHandler ?? []].flat(), before];
  if (handlerSpecOf(options.wsHandler) === undefined) options.handler = handle as never; // @fastify/websocket calls it with a socket
  else options.wsHandler = handle;
}

/** Whether {@link commitFirst} is among its hooks. */
function commitsLast({ description }: Route): boolean {
  return description.commits || description.keepsAnswers;
}

function joinHooks(options: RouteOptions, route: Route): void {
  options.onError = [
    ...[options.onError ?? []].flat(),
    async (request, _reply, error) => {
      await lifeOf(request)?.failedOutside(error);
    },
  ];
  if (!commitsLast(route)) return;
  options.onSend = [...[options.onSend ?? []].flat(), commitFirst];
}

/** Replies whose answer waits for its commit. Fastify takes them for unsent. */
const committing = new WeakSet<FastifyReply>();

/** An answer goes out when it is committed, unless the reply has had another one meanwhile. */
function commitFirst(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
  done: (error: never, payload: unknown) => void,
): void {
  const life = lifeOf(request);
  if (committing.has(reply) && life?.failure === undefined) {
    discardStream(payload);
    return request.log.warn(`Reply was already sent, did you forget to "return reply" in ${life?.name}?`);
  }
  const commit = life?.commit(() => sentOf(reply, payload));
  if (commit === undefined) return done(null as never, payload);
  const before = life?.hasExpired; // then it is the answer to that
  committing.add(reply);
  commit.then(
    () => {
      committing.delete(reply);
      if (life?.hasExpired === before && !reply.raw.headersSent) return done(null as never, payload);
      discardStream(payload); // the client has had a 504
    },
    (error: unknown) => {
      committing.delete(reply);
      done(error as never, payload); // Fastify answers with whatever it is
    },
  );
}

/** What is going to be sent. Of a `Response` Fastify takes status and headers later. */
function sentOf(reply: FastifyReply, body: unknown): SentAnswer {
  const own = body instanceof Response ? { status: body.status, headers: Object.fromEntries(body.headers) } : undefined;
  return { status: own?.status ?? reply.statusCode, headers: { ...reply.getHeaders(), ...own?.headers }, body };
}

/** Makes what Fastify calls for a route. A handler that has the reply may answer from a callback. */
function answering(context: FastifyContext, route: Route, handler: AnyHandler): RouteOptions["handler"] {
  const repliesLater = handler.length > 2 || route.description.takesReply;
  let isKept: boolean | undefined;
  return (request, reply) => {
    const life = living(context, request, reply, route.timeoutMs);
    if ((isKept ??= isKeptByHooks(reply, commitsLast(route) ? 1 : 0))) life.boundAnswer();
    const result = life.handle(route, handler, repliesLater);
    return (request.method === "HEAD" ? headOf(result, reply) : result) as never; // Fastify sends what it gives
  };
}

/** The answer to HEAD without the body of a `Response`, which Fastify would want to measure. */
async function headOf(given: unknown, reply: FastifyReply): Promise<unknown> {
  const result = await given;
  if (!(result instanceof Response)) return result;
  discardStream(result);
  reply.code(result.status).headers(Object.fromEntries(result.headers));
  return Readable.from([]);
}
