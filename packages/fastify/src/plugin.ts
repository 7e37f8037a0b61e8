import { Readable } from "node:stream";
import {
  announceShutdown,
  healthEndpoints,
  type AllInputs,
  type Container,
  type HealthEndpointOptions,
  type Running,
} from "@steward/container";
import type { Binding, MetricsSource, Needs } from "@steward/core";
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, RouteOptions } from "fastify";
import plugin from "fastify-plugin";
import { accessLog, type AccessLogOptions } from "./access-log.ts";
import { depend, dependenciesOf } from "./dependencies.ts";
import { Entrance, type RunningSource, type StewardStats } from "./entrance.ts";
import { parseForms, readForm, type FormOptions } from "./forms.ts";
import { handleWith } from "./handle.ts";
import { allNeeds, injectionOf, setSurroundings, visitKey, visitOf, type Injection } from "./inject.ts";
import { Validators } from "./inputs/validator.ts";
import { Documentation, serveDocument, type OpenApiOptions } from "./openapi.ts";
import { errorHandler, type ProblemOptions } from "./problem.ts";
import { problemSchema } from "./problem-schema.ts";
import { requestIdFrom } from "./request-id.ts";
import { Route, type Surroundings } from "./route.ts";
import { sweepWhileClosing } from "./server-drain.ts";
import { socketRoute } from "./socket.ts";

/** Where the container of an app comes from. */
export type ContainerSource =
  | {
      /** Started when the app gets ready, stopped when it has closed. */
      readonly container: Container<never>;
      readonly inputs?: readonly Binding[];
    }
  | {
      /** A container that somebody else starts and stops; a function where it is up later than the app. */
      readonly running: Running | (() => Running | undefined);
    };

/** Settings of the plugin. */
export interface StewardSettings {
  /** Dependencies of every injected route. */
  readonly dependencies?: Needs;
  /** How long a request may take, in ms, before managed calls are given up; 0 for no deadline. Default 30,000. */
  readonly timeoutMs?: number;
  /** How long requests may take to end once the app closes, in ms; then their connections are cut. Default 15,000. */
  readonly closeTimeoutMs?: number;
  /** Header of request ids, read and echoed. Default `x-request-id`; `false` leaves ids to Fastify. */
  readonly requestId?: string | false;
  /** Log of requests. Default on; switch Fastify's own off with `logController: new LogController({ disableRequestLogging: true })`. */
  readonly accessLog?: AccessLogOptions | false;
  /** How errors are told. `false` leaves them to Fastify. */
  readonly errors?: ProblemOptions | false;
  /** Health routes. Default on, without a prefix. */
  readonly health?: HealthEndpointOptions | false;
  /** A route for metrics, with what renders them. Default none. */
  readonly metrics?: MetricsRoute;
  /** Bounds of forms. `false`: forms cannot be read. */
  readonly forms?: FormOptions | false;
  /** The OpenAPI document and its page. Default none. */
  readonly openapi?: OpenApiOptions;
}

/** Where metrics are served and who renders them. */
export interface MetricsRoute {
  /** Default `/metrics`. */
  readonly path?: string;
  /** Default `text/plain; version=0.0.4; charset=utf-8`. */
  readonly contentType?: string;
  /** Gives the text, or its parts one after the other, such as `prometheusText([app.steward, running])` of `@steward/telemetry`. */
  readonly render: () => string | Promise<string> | Iterable<string> | AsyncIterable<string>;
}

/** Options of the plugin. */
export type StewardOptions = ContainerSource & StewardSettings;

/** What the plugin puts on an app, as `app.steward`. */
export interface Steward extends MetricsSource {
  /** The container, once it runs. */
  readonly running: Running | undefined;
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
  if (options.accessLog !== false) accessLog(app, options.accessLog ?? {});
  if (errors !== false) app.setErrorHandler(errorHandler(errors));
  if (forms !== false) await parseForms(app, forms);
  const { shape = "problem", invalidStatus = 422 } = errors === false ? {} : errors;
  const documentation = new Documentation(problemSchema(shape), invalidStatus);
  const routes = joinRoutes(app, surroundings, documentation);
  if (openapi !== undefined) await serveDocument(app, openapi, documentation);
  if (health !== false) healthRoutes(app, entrance, health);
  if (metrics !== undefined) metricsRoute(app, metrics);
  joinLifecycles(app, entrance, routes, options.closeTimeoutMs ?? 15_000);
};

/**
 * Joins a container with an app: starts it when the app gets ready, gives injected handlers their dependencies, and
 * stops it once the app has closed and nothing of any request is left.
 *
 * Register it first, so that it sees every route.
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
  return typeof running === "function" ? running : () => running;
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

/** Gives each injected route its handler, and the document what it takes. */
function joinRoutes(app: FastifyInstance, surroundings: Surroundings, documentation: Documentation): readonly Route[] {
  const routes: Route[] = [];
  app.addHook("onRoute", function (options) {
    const injection = injectionOf(options.handler) ?? injectionOf((options as SocketOptions).wsHandler);
    if (injection === undefined) return;
    const route = new Route(surroundings, allNeeds(dependenciesOf(this), injection), injection.options);
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

function healthRoutes(app: FastifyInstance, entrance: Entrance, options: HealthEndpointOptions): void {
  const answer = healthEndpoints(() => entrance.running, options);
  const { prefix = "" } = options;
  for (const path of ["/livez", "/readyz", "/startupz", "/health", "/health/*"]) {
    app.route({
      method: ["GET", "HEAD"],
      url: `${prefix}${path}`,
      schema: { hide: true } as never, // @fastify/swagger's
      handler: (request, reply) => {
        const found = answer(request.method, request.url, request.headers);
        return found === undefined ? reply.callNotFound() : sent(reply, found);
      },
    });
  }
}

function sent(
  reply: FastifyReply,
  found: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string },
): FastifyReply {
  return reply.code(found.status).headers(found.headers).send(found.body);
}

function metricsRoute(
  app: FastifyInstance,
  { path = "/metrics", contentType = "text/plain; version=0.0.4; charset=utf-8", render }: MetricsRoute,
): void {
  const schema = { hide: true } as never; // @fastify/swagger's
  app.get(path, { schema }, async (_request, reply) => {
    const text = await render();
    return reply.type(contentType).send(typeof text === "string" ? text : Readable.from(text));
  });
}

function joinLifecycles(
  app: FastifyInstance,
  entrance: Entrance,
  routes: readonly Route[],
  closeTimeoutMs: number,
): void {
  const sweep = sweepWhileClosing(app, closeTimeoutMs);
  app.addHook("onReady", async () => {
    await entrance.start();
    for (const route of routes) route.check();
  });
  app.addHook("preClose", async () => {
    if (entrance.running !== undefined) announceShutdown(entrance.running);
    sweep.begin();
  });
  app.addHook("onClose", async () => {
    sweep.end();
    await entrance.stop(closeTimeoutMs);
  });
}
