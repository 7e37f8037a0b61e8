// Routes may say `tags`, `summary` and what else a document holds.
/// <reference types="@fastify/swagger" preserve="true" />
import {
  announceShutdown,
  type AllInputs,
  type Container,
  type HealthEndpointOptions,
  type RunningContainer,
} from "@steward/container";
import { assertShape, type Binding, type MetricsSource, type Needs } from "@steward/core";
import type { FastifyInstance, FastifyPluginAsync, RouteOptions } from "fastify";
import plugin from "fastify-plugin";
import { accessLog, type AccessLogOptions } from "./access-log.ts";
import { depend, dependenciesOf } from "./dependencies.ts";
import { describe } from "./describe.ts";
import { serveDocument } from "./documents.ts";
import type { Doorway } from "./doorway.ts";
import { healthRoutes, METRICS_PATH, metricsRoute, type MetricsRoute } from "./endpoints.ts";
import { Entrance, type RunningSource, type StewardStats } from "./entrance.ts";
import { parseForms, readForm, type FormOptions } from "./forms.ts";
import { handleWith } from "./handle.ts";
import { allNeeds, injectionOf, setSurroundings, visitKey, visitOf, type Injection } from "./inject.ts";
import { Validators } from "./inputs/validator.ts";
import { answerUnknown } from "./not-found.ts";
import { Documentation, type OpenApiOptions } from "./openapi.ts";
import { errorHandler, type ProblemOptions } from "./problem.ts";
import { pluginShape } from "./options.ts";
import { problemSchema } from "./problem-schema.ts";
import { requestIdFrom } from "./request-id.ts";
import { Route, type Surroundings } from "./route.ts";
import { sweepWhileClosing } from "./server-drain.ts";
import { socketRoute } from "./socket.ts";
import { strictQuery } from "./strict-query.ts";

/** Where the container of an app comes from. */
export type ContainerSource =
  | {
      /** Started when the app gets ready, stopped when it has closed. */
      readonly container: Container<never>;
      readonly inputs?: readonly Binding[];
    }
  | {
      /** A container that somebody else starts and stops; a doorway or a function where it is up later than the app. */
      readonly running: RunningContainer | Doorway | (() => RunningContainer | undefined);
    };

/** Settings of the plugin. */
export interface StewardSettings {
  /** Dependencies of every injected route. */
  readonly dependencies?: Needs;
  /** How long a request may take, in ms, before managed calls are given up; 0 for no deadline. Default 30,000. */
  readonly timeoutMs?: number;
  /**
   * How long closing may take, in ms: requests, their cleanup, and the stop of a container of the app's own, for which
   * up to 5,000 of it are kept. Connections of requests that have not ended by then are cut. Default 15,000.
   */
  readonly closeTimeoutMs?: number;
  /** Header of request ids, read and echoed. Default `x-request-id`; `false` leaves ids to Fastify. */
  readonly requestId?: string | false;
  /** Log of requests. Default on; switch Fastify's own off with `logController: new LogController({ disableRequestLogging: true })`. */
  readonly accessLog?: AccessLogOptions | false;
  /** How errors are told. `false` leaves them to Fastify. */
  readonly errors?: ProblemOptions | false;
  /**
   * Answers what has no route, as errors are told: 405 with `allow` where the path has routes of other methods, else
   * 404. Default on; `false` where the app has a `setNotFoundHandler` of its own.
   */
  readonly notFound?: boolean;
  /** `true`: parameters of the query string that a route does not know are not valid. Default: nobody looks at them. */
  readonly strictQuery?: boolean;
  /** Health routes. Default on, without a prefix. */
  readonly health?: HealthEndpointOptions | false;
  /** A route for metrics, with what renders them. Default none. */
  readonly metrics?: MetricsRoute;
  /** Bounds of forms. `false`: forms cannot be read. */
  readonly forms?: FormOptions | false;
  /** The OpenAPI document and its page. Default none. */
  readonly openapi?: OpenApiOptions;
}

/** Options of the plugin. */
export type StewardOptions = ContainerSource & StewardSettings;

/** What the plugin puts on an app, as `app.steward`. */
export interface Steward extends MetricsSource {
  /** The container, once it runs. */
  readonly running: RunningContainer | undefined;
  /** Numbers of requests and background work. */
  stats(): StewardStats;
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
  const entrance = new Entrance(sourceOf(options), app.log);
  let validators: Validators | undefined;
  const surroundings: Surroundings = {
    entrance,
    timeoutMs,
    validators: () => (validators ??= new Validators(app.getSchemas())),
  };
  setSurroundings(app, surroundings);
  app.decorate("steward", stewardOf(entrance));
  app.decorateRequest(visitKey, null);
  if (dependencies !== undefined) depend(app, dependencies as {}); // checked by the route that gets them
  if (requestId !== false) echoRequestId(app, requestId);
  if (options.accessLog !== false) accessLog(app, options.accessLog ?? {}, metrics?.path ?? METRICS_PATH);
  if (errors !== false) app.setErrorHandler(errorHandler(errors));
  if (options.notFound ?? errors !== false) answerUnknown(app);
  if (forms !== false) await parseForms(app, forms);
  const { shape = "problem", invalidStatus = 422 } = errors === false ? {} : errors;
  takeAnyJson(app);
  const documentation = new Documentation(problemSchema(shape), invalidStatus);
  const routes = joinRoutes(app, surroundings, documentation, options.strictQuery ?? false);
  if (openapi !== undefined) serveDocument(app, openapi, documentation);
  if (health !== false) healthRoutes(app, () => entrance.running, health);
  if (metrics !== undefined) metricsRoute(app, metrics);
  joinLifecycles(app, entrance, routes, options);
};

/**
 * Joins a container with an app: starts it when the app gets ready, gives injected handlers their dependencies, and
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
 * import { inject, steward } from "@steward/fastify";
 * const greeting = resource("greeting", { start: () => "hello" });
 * const app = fastify();
 * await app.register(steward, { container: container([greeting]) });
 * app.get("/", inject({ greeting }, ({ greeting }) => ({ greeting })));
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
  if (typeof running === "function") return running;
  return "onOpen" in running ? () => running.running : () => running;
}

function stewardOf(entrance: Entrance): Steward {
  return {
    get running() {
      return entrance.running;
    },
    stats: () => entrance.stats(),
    metrics: () => entrance.metrics(),
    replaceContainer: (change) => entrance.replaceContainer(change),
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

/** Gives each injected route its handler, and the document what it takes. */
function joinRoutes(
  app: FastifyInstance,
  surroundings: Surroundings,
  documentation: Documentation,
  strict: boolean,
): readonly Route[] {
  const routes: Route[] = [];
  app.addHook("onRoute", function (options) {
    const injection = injectionOf(options.handler) ?? injectionOf((options as SocketOptions).wsHandler);
    if (injection === undefined) return;
    const needs = allNeeds(dependenciesOf(this), injection);
    const route = new Route(surroundings, strict ? withStrictQuery(needs) : needs, injection.options);
    routes.push(route);
    if (injection.socket) joinSocket(options, route, injection);
    else {
      const handler = handleWith(route, injection.handler);
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

function joinSocket(options: SocketOptions, route: Route, injection: Injection): void {
  const { before, handle } = socketRoute(route, injection.handler);
  options.preHandler = [...[options.preHandler ?? []].flat(), before];
  if (injectionOf(options.wsHandler) === undefined) options.handler = handle as never; // @fastify/websocket calls it with a socket
  else options.wsHandler = handle;
}

function joinHooks(options: RouteOptions, { description }: Route): void {
  if (description.takesForm) options.preValidation = [...[options.preValidation ?? []].flat(), readForm];
  options.onError = [
    ...[options.onError ?? []].flat(),
    (request, _reply, error, done) => {
      visitOf(request)?.note(error);
      done();
    },
  ];
  if (!description.commits) return;
  options.onSend = [
    ...[options.onSend ?? []].flat(),
    (request, _reply, payload, done) => {
      const visit = visitOf(request);
      const scope = visit?.failure === undefined ? visit?.scope : undefined;
      if (scope === undefined || scope.settlesAtOnce) done(null, payload);
      else
        scope.settle().then(
          () => done(null, payload),
          (error: unknown) => done(error as never, payload),
        ); // whoever replied from a callback commits here
    },
  ];
}

function joinLifecycles(
  app: FastifyInstance,
  entrance: Entrance,
  routes: readonly Route[],
  options: StewardOptions,
): void {
  const { closeTimeoutMs = 15_000 } = options;
  const sweep = sweepWhileClosing(app, closeTimeoutMs);
  const check = (): void => routes.forEach((route) => route.check());
  if ("running" in options && "onOpen" in options.running) options.running.onOpen(check);
  app.addHook("onReady", async () => {
    await entrance.start();
    check();
  });
  app.addHook("preClose", async () => {
    // A container of somebody else goes on, and other apps may be on it.
    if ("container" in options && entrance.running !== undefined) announceShutdown(entrance.running);
    sweep.begin();
  });
  app.addHook("onClose", async () => {
    sweep.end();
    await entrance.stop(closeTimeoutMs);
  });
}
