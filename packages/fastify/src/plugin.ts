// Routes may say `tags`, `summary` and what else a document holds.
/// <reference types="@fastify/swagger" preserve="true" />
import type { Container, RunningContainer } from "@steward/container";
import { announceShutdown, onContainerUp, type AllInputs } from "@steward/container/framework";
import { systemClock, type Binding, type MetricsSource } from "@steward/core";
import { answerOtherUpgrades, assertShape } from "@steward/core/driver";
import { sourceOf } from "@steward/server/node";
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from "fastify";
import plugin from "fastify-plugin";
import {
  closeWithConnection,
  misdirected,
  problemSchema,
  RequestEvents,
  requestIdFrom,
  RequestMetrics,
  Serving,
  Validators,
  type RequestFacts,
  type ServingStats,
} from "@steward/server";
import { accessLog } from "./app/access-log.ts";
import { depend } from "./app/dependencies.ts";
import { healthRoutes, METRICS_PATH, metricsRoute } from "./app/endpoints.ts";
import { errorHandler } from "./app/error-handler.ts";
import { takeForms } from "./app/forms.ts";
import { takeJson } from "./app/json.ts";
import { answerUnknown } from "./app/not-found.ts";
import { sweepWhileClosing } from "./app/server-drain.ts";
import { serveDocument } from "./document/documents.ts";
import { Documentation } from "./document/openapi.ts";
import { setContext } from "./handler/handler.ts";
import { joinRoutes, type Joined } from "./handler/join-routes.ts";
import { lifeKey, lifeOf, type FastifyContext } from "./handler/life.ts";
import { pluginShape, type StewardOptions } from "./options.ts";

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
  const serving = new Serving(sourceOf(options), app.log, options.stallTimeoutMs);
  serving.capConnections(app.server, options.maxConnections);
  answerOtherUpgrades(app.server);
  let validators: Validators | undefined;
  const context: FastifyContext = {
    serving,
    timeoutMs,
    sessionKey: options.session,
    forms,
    errors: errors === false ? {} : errors,
    trustsEverybody: () => trustsEverybody(app),
    validators: () => (validators ??= new Validators(app.getSchemas())),
  };
  setContext(app, context);
  app.decorate("steward", stewardOf(serving, followRequests(app, options)));
  app.decorateRequest(lifeKey, null);
  if (dependencies !== undefined) depend(app, dependencies as {}); // it checks them
  if (requestId !== false) echoRequestId(app, requestId);
  if (options.hosts !== undefined) refuseOtherHosts(app, options.hosts);
  if (options.accessLog !== false) accessLog(app, options.accessLog ?? {}, metrics?.path ?? METRICS_PATH);
  if (errors !== false) app.setErrorHandler(errorHandler(errors));
  if (options.notFound ?? errors !== false) answerUnknown(app);
  if (forms !== false) takeForms(app);
  const { shape = "problem", invalidStatus = 422 } = errors === false ? {} : errors;
  takeJson(app);
  const documentation = new Documentation(problemSchema(shape), invalidStatus);
  const joined = joinRoutes(app, context, documentation, options.strictQuery ?? false);
  if (openapi !== undefined) serveDocument(app, openapi, documentation);
  if (health !== false) healthRoutes(app, () => serving.running, health);
  if (metrics !== undefined) metricsRoute(app, metrics);
  joinLifecycles(app, serving, joined, options);
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
  return { container: container as Container<never>, inputs }; // all inputs are given, the signature says
}

/** Times and announces every request of an app, with or without needs, from its first hook on. */
function followRequests(
  app: FastifyInstance,
  { accessLog: log = {}, requestMetrics }: StewardOptions,
): MetricsSource | undefined {
  const facts: RequestFacts<FastifyRequest> = {
    route: (request) => request.routeOptions.url,
    failure: (request) => lifeOf(request)?.failure,
  };
  const metrics = requestMetrics === false ? undefined : new RequestMetrics(facts);
  const events = new RequestEvents(facts, log === false ? undefined : log.redact);
  app.addHook("onRequest", (request, reply, done) => {
    closeWithConnection(request.raw, reply.raw);
    metrics?.begin(request, request.raw, reply.raw);
    events.begin(request, request.id, request.raw, reply.raw);
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

/** An address of documentation (RFC 5737), which no proxy has, and more proxies than there are. */
const [ANYBODY, MANY_HOPS] = ["192.0.2.1", 1_000];

/** Whether Fastify takes the address that the furthest of many proxies says: any client can be that. */
function trustsEverybody(app: FastifyInstance): boolean {
  const { trustProxy: trusts } = optionsOf(app);
  return typeof trusts === "function" ? trusts(ANYBODY, MANY_HOPS) === true : trusts === true;
}

/** What the app was made with: Fastify gives all but this option back in `initialConfig`. Nothing where it keeps it elsewhere. */
function optionsOf(app: object): { readonly trustProxy?: unknown } {
  for (let one: object | null = app; one !== null; one = Object.getPrototypeOf(one) as object | null) {
    const key = Object.getOwnPropertySymbols(one).find(({ description }) => description === "fastify.options");
    if (key !== undefined) return (one as Record<symbol, { readonly trustProxy?: unknown }>)[key] ?? {}; // it has it, the line above says
  }
  return {};
}

/** No hook has read anything of the body yet. */
function refuseOtherHosts(app: FastifyInstance, hosts: readonly string[]): void {
  app.addHook("onRequest", (request, _reply, done) => done(misdirected(request, hosts)));
}

function echoRequestId(app: FastifyInstance, header: string): void {
  app.setGenReqId(requestIdFrom(header));
  app.addHook("onRequest", (request, reply, done) => {
    reply.header(header, request.id);
    done();
  });
}

function joinLifecycles(
  app: FastifyInstance,
  serving: Serving,
  { routes, roots }: Joined,
  options: StewardOptions,
): void {
  const { closeTimeoutMs = 15_000 } = options;
  const sweep = sweepWhileClosing(app, closeTimeoutMs);
  let begun: number | undefined;
  const check = (): void => routes.forEach((route) => route.check());
  // Where it is up later than the app, a graph that lacks what a route needs fails its start.
  const ignore = onContainerUp((running) => {
    if ("running" in options && serving.running === running) check();
  });
  app.addHook("onReady", async () => {
    await serving.start(roots);
    check();
  });
  app.addHook("preClose", async () => {
    // A container of somebody else goes on, and other apps may be on it.
    if ("container" in options && serving.running !== undefined) announceShutdown(serving.running);
    begun = systemClock.now();
    sweep.begin();
  });
  app.addHook("onClose", async () => {
    ignore();
    sweep.end();
    await serving.stop(closeTimeoutMs, begun);
  });
}
