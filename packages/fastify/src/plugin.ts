// Routes may say `tags`, `summary` and what else a document holds.
/// <reference types="@fastify/swagger" preserve="true" />
import type { Container, RunningContainer } from "@steward/container";
import { announceShutdown, onContainerUp, type AllInputs } from "@steward/container/framework";
import type { Binding, MetricsSource } from "@steward/core";
import type { Needs } from "@steward/core/container";
import { assertShape } from "@steward/core/driver";
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest, RouteOptions } from "fastify";
import plugin from "fastify-plugin";
import {
  describe,
  problemSchema,
  requestIdFrom,
  RequestMetrics,
  Route,
  Serving,
  strictQuery,
  Validators,
  type AppContext,
  type RunningSource,
  type ServingStats,
} from "@steward/server";
import { accessLog } from "./app/access-log.ts";
import { depend, dependenciesOf } from "./app/dependencies.ts";
import { healthRoutes, METRICS_PATH, metricsRoute } from "./app/endpoints.ts";
import { errorHandler } from "./app/error-handler.ts";
import { parseForms, readForm } from "./app/forms.ts";
import { answerUnknown } from "./app/not-found.ts";
import { sweepWhileClosing } from "./app/server-drain.ts";
import { serveDocument } from "./document/documents.ts";
import { Documentation } from "./document/openapi.ts";
import { allNeeds, handlerSpecOf, setContext, type HandlerSpec } from "./handler/handler.ts";
import { lifeKey, lifeOf, living } from "./handler/life.ts";
import { socketRoute } from "./handler/socket.ts";
import { pluginShape, type ContainerSource, type StewardOptions } from "./options.ts";

/** What the plugin puts on an app, as `app.steward`. */
export interface Steward extends MetricsSource {
  /** The container, once it runs. */
  readonly running: RunningContainer | undefined;
  /** Numbers of requests and background work. */
  stats(): ServingStats;
  /** Replaces the container before the app is ready; `false` when it is too late or the container is somebody else's. For tests. */
  replaceContainer(change: (container: Container<string>) => Container<string>): boolean;
}

declare module "fastify" {
  interface FastifyInstance {
    /** The container of this app. */
    readonly steward: Steward;
  }
}

const implementation: FastifyPluginAsync<StewardOptions> = async (app, options) => {
  assertShape("steward", pluginShape, options);
  const {
    timeoutMs = 30_000,
    requestId = "x-request-id",
    errors = {},
    health = {},
    forms = {},
    metrics,
    openapi,
    dependencies,
  } = options;
  const serving = new Serving(sourceOf(options), app.log);
  let validators: Validators | undefined;
  const context: AppContext = {
    serving,
    timeoutMs,
    sessionKey: options.session,
    validators: () => (validators ??= new Validators(app.getSchemas())),
  };
  setContext(app, context);
  app.decorate("steward", stewardOf(serving, options.requestMetrics === false ? undefined : measureRequests(app)));
  app.decorateRequest(lifeKey, null);
  if (dependencies !== undefined) depend(app, dependencies as {}); // checked by the route that gets them
  if (requestId !== false) echoRequestId(app, requestId);
  if (options.accessLog !== false) accessLog(app, options.accessLog ?? {}, metrics?.path ?? METRICS_PATH);
  if (errors !== false) app.setErrorHandler(errorHandler(errors));
  if (options.notFound ?? errors !== false) answerUnknown(app);
  if (forms !== false) await parseForms(app, forms);
  const { shape = "problem", invalidStatus = 422 } = errors === false ? {} : errors;
  takeAnyJson(app);
  const documentation = new Documentation(problemSchema(shape), invalidStatus);
  const routes = joinRoutes(app, context, documentation, options.strictQuery ?? false);
  if (openapi !== undefined) serveDocument(app, openapi, documentation);
  if (health !== false) healthRoutes(app, () => serving.running, health);
  if (metrics !== undefined) metricsRoute(app, metrics);
  joinLifecycles(app, serving, routes, options);
};

/**
 * Joins a container with an app: starts it when the app gets ready, gives handlers their dependencies, and
 * stops it once the app has closed and nothing of any request is left.
 *
 * Register it first, so that it sees every route.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 *
 * @example
 * ```ts
 * import { fastify } from "fastify";
 * import { resource } from "@steward/core";
 * import { container } from "@steward/container";
 * import { handler, steward } from "@steward/fastify";
 * const greeting = resource("greeting", { start: () => "hello" });
 * const app = fastify();
 * await app.register(steward, { container: container([greeting]) });
 * app.get("/", handler({ greeting }, ({ greeting }) => ({ greeting })));
 * console.log((await app.inject("/")).json().greeting); // => hello
 * await app.close();
 * ```
 */
export const steward: FastifyPluginAsync<StewardOptions> = plugin(implementation, {
  fastify: "5.x",
  name: "@steward/fastify",
});

/** Options of the plugin for a container with inputs: checks that all of them are given. */
export function withInputs<Open extends string, const B extends readonly Binding[]>(
  container: Container<Open> & AllInputs<Open, B>,
  inputs: B,
): { readonly container: Container<never>; readonly inputs: readonly Binding[] } {
  return { container: container as unknown as Container<never>, inputs }; // all inputs are given, the signature says
}

function sourceOf(options: ContainerSource): RunningSource {
  if ("container" in options) return { container: options.container, inputs: options.inputs ?? [] };
  const { running } = options;
  return typeof running === "function" ? running : () => running;
}

/** Times every request of an app, with or without needs, from its first hook on. */
function measureRequests(app: FastifyInstance): MetricsSource {
  const metrics = new RequestMetrics<FastifyRequest>({
    route: (request) => request.routeOptions.url,
    failure: (request) => lifeOf(request)?.failure,
  });
  app.addHook("onRequest", (request, reply, done) => {
    metrics.begin(request, request.raw, reply.raw);
    done();
  });
  return metrics;
}

function stewardOf(serving: Serving, requests: MetricsSource | undefined): Steward {
  return {
    get running() {
      return serving.running;
    },
    stats: () => serving.stats(),
    *metrics() {
      yield* serving.metrics();
      if (requests !== undefined) yield* requests.metrics();
    },
    replaceContainer: (change) => serving.replaceContainer(change),
  };
}

function echoRequestId(app: FastifyInstance, header: string): void {
  app.setGenReqId(requestIdFrom(header));
  app.addHook("onRequest", (request, reply, done) => {
    reply.header(header, request.id);
    done();
  });
}

const JSON_OF_OTHERS = /^application\/[\w.+-]+\+json(?:;|$)/i;

/** Types such as `application/vnd.api+json` are JSON too. */
function takeAnyJson(app: FastifyInstance): void {
  if (app.hasContentTypeParser(JSON_OF_OTHERS)) return;
  const { onProtoPoisoning = "error", onConstructorPoisoning = "error" } = app.initialConfig;
  app.addContentTypeParser(
    JSON_OF_OTHERS,
    { parseAs: "string" },
    app.getDefaultJsonParser(onProtoPoisoning, onConstructorPoisoning) as never, // it calls back, as parsers may
  );
}

/** Gives each route with needs its handler, and the document what it takes. */
function joinRoutes(
  app: FastifyInstance,
  context: AppContext,
  documentation: Documentation,
  strict: boolean,
): readonly Route[] {
  const routes: Route[] = [];
  app.addHook("onRoute", function (options) {
    const spec = handlerSpecOf(options.handler) ?? handlerSpecOf((options as SocketOptions).wsHandler);
    if (spec === undefined) return;
    const needs = allNeeds(dependenciesOf(this), spec);
    const route = new Route(context, strict ? withStrictQuery(needs) : needs, spec.options);
    routes.push(route);
    if (spec.socket) joinSocket(options, context, route, spec);
    else {
      const handler = answering(context, route, spec.answer);
      options.handler = handler;
      documentation.note(handler, route.description);
      joinHooks(options, route);
    }
  });
  return routes;
}

/** Looked at last: whoever may not ask learns that first. */
function withStrictQuery(needs: Needs): Needs {
  return { ...needs, "strict query": strictQuery(describe(needs)) };
}

/** What @fastify/websocket adds to routes. */
type SocketOptions = RouteOptions & { wsHandler?: unknown };

function joinSocket(options: SocketOptions, context: AppContext, route: Route, spec: HandlerSpec): void {
  const { before, handle } = socketRoute(context, route, spec.answer);
  options.preHandler = [...[options.preHandler ?? []].flat(), before];
  if (handlerSpecOf(options.wsHandler) === undefined) options.handler = handle as never; // @fastify/websocket calls it with a socket
  else options.wsHandler = handle;
}

function joinHooks(options: RouteOptions, { description }: Route): void {
  if (description.takesForm) options.preValidation = [...[options.preValidation ?? []].flat(), readForm];
  options.onError = [
    ...[options.onError ?? []].flat(),
    async (request, _reply, error) => {
      await lifeOf(request)?.failedOutside(error);
    },
  ];
  if (!description.commits) return;
  options.onSend = [
    ...[options.onSend ?? []].flat(),
    (request, _reply, payload, done) => {
      const committing = lifeOf(request)?.commit();
      if (committing === undefined) done(null, payload);
      else
        committing.then(
          () => done(null, payload),
          (error: unknown) => done(error as never, payload), // Fastify answers with whatever it is
        );
    },
  ];
}

/** Makes what Fastify calls for a route. A handler that has the reply may answer from a callback. */
function answering(context: AppContext, route: Route, handler: HandlerSpec["answer"]): RouteOptions["handler"] {
  const repliesLater = handler.length > 2 || route.description.takesReply;
  return (request, reply) =>
    living(context, request, reply, route.timeoutMs).handle(route, handler, repliesLater) as never; // Fastify sends what it gives
}

function joinLifecycles(
  app: FastifyInstance,
  serving: Serving,
  routes: readonly Route[],
  options: StewardOptions,
): void {
  const { closeTimeoutMs = 15_000 } = options;
  const sweep = sweepWhileClosing(app, closeTimeoutMs);
  const check = (): void => routes.forEach((route) => route.check());
  // Where it is up later than the app, a graph that lacks what a route needs fails its start.
  const ignore = onContainerUp((running) => {
    if ("running" in options && serving.running === running) check();
  });
  app.addHook("onReady", async () => {
    await serving.start();
    check();
  });
  app.addHook("preClose", async () => {
    // A container of somebody else goes on, and other apps may be on it.
    if ("container" in options && serving.running !== undefined) announceShutdown(serving.running);
    sweep.begin();
  });
  app.addHook("onClose", async () => {
    ignore();
    sweep.end();
    await serving.stop(closeTimeoutMs);
  });
}
