import type { IncomingMessage, ServerResponse } from "node:http";
import { healthEndpoints, type HealthEndpoints, type RunningContainer } from "@steward/container";
import { onContainerUp } from "@steward/container/framework";
import { StewardError, systemClock, type MetricSample, type MetricsSource } from "@steward/core";
import { isThenable, type AnyDefinition, type Need } from "@steward/core/container";
import { closeWithConnection } from "../connections/waiting-responses.ts";
import { Validators } from "../inputs/validator.ts";
import type { HttpRequest } from "../life/exchange.ts";
import { discardStream } from "../life/stream-end.ts";
import { requestIdFrom, uuid7 } from "../life/request-id.ts";
import { Serving, type RunningSource, type ServingStats } from "../life/serving.ts";
import { SECRET_PARAMETERS, urlMask } from "../log/url-mask.ts";
import { RequestMetrics } from "../metrics/request-metrics.ts";
import type { ForeignErrors } from "../problem/problem.ts";
import { describe } from "../route/describe.ts";
import { allNeeds, type HandlerSpec } from "../route/handler-spec.ts";
import { Route, type AppContext } from "../route/route.ts";
import { strictQuery } from "../route/strict-query.ts";
import { misdirected } from "../security/host.ts";
import { RequestEvents } from "../trace/request-events.ts";
import { malformedPath } from "./adapter/refusal.ts";
import { readBody } from "./body.ts";
import { ErrorAnswers } from "./error-answers.ts";
import type { NodeExchange } from "./exchange.ts";
import { NodeLife, type LifeHost } from "./node-life.ts";
import { outgoingOf, send, sentOf } from "./send.ts";
import type { NodeLog, NodeSettings } from "./settings.ts";

const SILENT: NodeLog = { error: () => {} };
const masked = urlMask(SECRET_PARAMETERS);

/** A handler on one app: what it takes from requests, and what answers them. */
export interface NodeRoute {
  readonly route: Route;
  readonly spec: HandlerSpec;
  /** True where it takes a body, which has to be read before. */
  readonly takesBody: boolean;
  /** True where something may refuse a request before its body has to be read. */
  readonly refusesFirst: boolean;
  /** True where a result of `undefined` means that the answer comes from a callback. */
  readonly repliesLater: boolean;
}

/**
 * What the requests of one app share, on any server of Node's: the container, settings, routes and answers to errors.
 * An adapter calls {@link begin} for each request, then {@link respond} where a route has it.
 */
export class NodeApp implements MetricsSource, LifeHost {
  readonly serving: Serving;
  readonly log: NodeLog;
  readonly errors: ErrorAnswers;
  readonly closeTimeoutMs: number;
  readonly maxBodyBytes: number;
  readonly maxConnections: number | false | undefined;
  readonly #context: AppContext;
  readonly #strict: boolean;
  /** Name of the header of request ids. */
  readonly idHeader: string | false;
  readonly #idOf: (incoming: IncomingMessage) => string;
  readonly #metrics: RequestMetrics<NodeExchange> | undefined;
  readonly #events = new RequestEvents<NodeExchange>({ route, failure });
  readonly #hosts: readonly string[] | undefined;
  readonly #health: HealthEndpoints | undefined;
  readonly #routes: Route[] = [];
  #isClosing = false;
  #ignore: () => void;

  /**
   * @param foreign What is known of the errors of a framework.
   * @param trustsEverybody Whether that takes the address of a client from whatever the client says.
   */
  constructor(
    source: RunningSource,
    settings: NodeSettings<never>,
    foreign?: ForeignErrors,
    trustsEverybody?: () => boolean,
  ) {
    const { timeoutMs = 30_000, closeTimeoutMs = 15_000, maxBodyBytes = 1024 * 1024, log = SILENT } = settings;
    const { requestId = "x-request-id", errors = {}, health = {}, strictQuery: strict = false } = settings;
    this.log = log;
    this.serving = new Serving(source, log, settings.stallTimeoutMs);
    this.errors = new ErrorAnswers(errors, log, foreign);
    this.closeTimeoutMs = closeTimeoutMs;
    this.maxBodyBytes = maxBodyBytes;
    this.maxConnections = settings.maxConnections;
    const validators = new Validators({});
    this.#context = {
      serving: this.serving,
      timeoutMs,
      forms: settings.forms,
      sessionKey: settings.session,
      validators: () => validators,
      trustsEverybody,
    };
    this.#strict = strict;
    this.#hosts = settings.hosts;
    this.idHeader = requestId;
    this.#idOf = requestId === false ? () => uuid7() : requestIdFrom(requestId);
    this.#metrics = settings.requestMetrics === false ? undefined : new RequestMetrics({ route, failure });
    this.#health = health === false ? undefined : healthEndpoints(() => this.running, health);
    // Where it is up later than the app, a graph that lacks what a route needs fails its start.
    this.#ignore = onContainerUp((running) => {
      if (this.running === running) this.#check();
    });
  }

  /** The container, once it runs. */
  get running(): RunningContainer | undefined {
    return this.serving.running;
  }

  /** True once the app takes no more requests. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  /**
   * Starts the container, if it is this app's own. @param roots What it has to hold for the routes.
   *
   * @throws {NOT_IN_GRAPH} {ROUTE_INVALID} for a route that cannot work with it.
   */
  async start(roots: readonly AnyDefinition[] = []): Promise<void> {
    await this.serving.start(roots);
    this.#check();
  }

  #check(): void {
    for (const one of this.#routes) one.check();
  }

  /** Compiles a handler for this app. @param outer Needs of the app or a part of it, resolved before. */
  route(spec: HandlerSpec, outer: readonly Need[] = []): NodeRoute {
    const needs = allNeeds(outer, spec);
    const all = this.#strict ? { ...needs, "strict query": strictQuery(describe(needs)) } : needs;
    const compiled = new Route(this.#context, all, spec.options);
    this.#routes.push(compiled);
    const { parameters, takesReply, refusals } = compiled.description;
    const places = new Set(parameters.map(({ place }) => place));
    const takesBody = places.has("body") || places.has("form") || places.has("file");
    const repliesLater = spec.answer.length > 2 || takesReply;
    return { route: compiled, spec, takesBody, refusesFirst: takesBody && refusals.length > 0, repliesLater };
  }

  /** A request has come: it has an id, and is counted and logged when it is over. */
  begin(incoming: IncomingMessage, response: ServerResponse): NodeExchange {
    const exchange: NodeExchange = {
      incoming,
      response,
      requestId: this.#idOf(incoming),
      route: undefined,
      life: undefined,
    };
    if (this.idHeader !== false) response.setHeader(this.idHeader, exchange.requestId);
    closeWithConnection(incoming, response);
    this.#metrics?.begin(exchange, incoming, response);
    this.#events.begin(exchange, exchange.requestId, incoming, response);
    if (this.log.info !== undefined) this.#logWhenOver(exchange);
    return exchange;
  }

  #logWhenOver(exchange: NodeExchange): void {
    const { incoming, response, requestId } = exchange;
    const { method, url = "/" } = incoming; // a router of a framework's may change it meanwhile
    const since = systemClock.now();
    response.once("close", () => {
      const line = { method, url: masked(url), route: exchange.route, requestId };
      const ms = Math.round((systemClock.now() - since) * 10) / 10;
      this.log.info?.(
        response.writableEnded ? { ...line, status: response.statusCode, ms } : { ...line, aborted: true, ms },
        "request",
      );
    });
  }

  /** Answers a health path. `false` for any other path, where the app has none, and where a request is refused. */
  answerHealth({ incoming, response }: NodeExchange, url: string = incoming.url ?? "/"): boolean {
    if (misdirected(incoming, this.#hosts) !== undefined) return false;
    const found = this.#health?.(incoming.method ?? "GET", url, incoming.headers);
    if (found === undefined) return false;
    response.statusCode = found.status;
    for (const [name, value] of Object.entries(found.headers)) response.setHeader(name, value);
    response.end(found.body);
    return true;
  }

  /**
   * The error of a request that no route is asked for: it is for a host of others, its path is none, or it has come over a
   * kept connection while the app closes.
   */
  refusal({ incoming }: NodeExchange, url: string = incoming.url ?? "/"): Error | undefined {
    if (!this.#isClosing) return misdirected(incoming, this.#hosts) ?? malformedPath(url);
    return new StewardError("RESOURCE_UNAVAILABLE", "the server closes", { retryable: true, retryAfterMs: 1_000 });
  }

  /** Makes the life of a request. */
  life<Request extends HttpRequest, Reply>(
    exchange: NodeExchange,
    { route: { timeoutMs } }: NodeRoute,
    request: Request,
    reply: Reply,
  ): NodeLife<Request, Reply> {
    return new NodeLife(this, exchange, request, reply, timeoutMs);
  }

  /** The whole of a request that has a route: reads its body where the route takes one and no one has read it, and answers it. */
  respond<Request extends HttpRequest & { body?: unknown }, Reply>(
    route: NodeRoute,
    exchange: NodeExchange,
    request: Request,
    reply: Reply,
  ): void {
    const life = this.life(exchange, route, request, reply);
    if (!route.takesBody || request.body !== undefined) return void this.#answer(route, exchange, life);
    const read = (): Promise<unknown> => readBody(exchange.incoming, this.maxBodyBytes);
    if (route.refusesFirst) {
      life.unread = read;
      return void this.#answer(route, exchange, life);
    }
    read().then(
      (body) => {
        request.body = body;
        return this.#answer(route, exchange, life);
      },
      (error: unknown) => this.errors.send(error, exchange),
    );
  }

  /** Runs a handler and sends what it gives, or what its error is for the client. In one tick, where nothing has to be waited for. */
  #answer<Request extends HttpRequest, Reply>(
    { route, spec, repliesLater }: NodeRoute,
    exchange: NodeExchange,
    life: NodeLife<Request, Reply>,
  ): Promise<void> | undefined {
    const result = life.handle(route, spec.answer, repliesLater);
    if (isThenable(result)) return this.#late(result, exchange, life);
    if (result === undefined) return undefined; // the answer comes from a callback
    try {
      const sending = this.#send(result, exchange, life);
      return sending?.catch((error: unknown) => this.#failed(error, exchange, life));
    } catch (error) {
      return this.#failed(error, exchange, life);
    }
  }

  async #late(
    result: PromiseLike<unknown>,
    exchange: NodeExchange,
    life: NodeLife<HttpRequest, unknown>,
  ): Promise<void> {
    try {
      const sending = this.#send(await result, exchange, life);
      if (sending !== undefined) await sending;
    } catch (error) {
      await this.#failed(error, exchange, life);
    }
  }

  /** Serialises, commits, and sends. */
  #send(result: unknown, exchange: NodeExchange, life: NodeLife<HttpRequest, unknown>): Promise<void> | undefined {
    if (result === life.reply) return undefined;
    if (life.answered) return void discardStream(result);
    const outgoing = outgoingOf(result);
    const go = (): void => {
      if (this.#isClosing && exchange.incoming.httpVersionMajor === 1)
        exchange.response.setHeader("connection", "close");
      send(exchange.response, outgoing, exchange.incoming.method === "HEAD", (error) => {
        void this.#failed(error, exchange, life);
      });
    };
    const committing = life.commit(() => sentOf(exchange.response, outgoing));
    if (committing === undefined) go();
    else return committing.then(go);
    return undefined;
  }

  async #failed(error: unknown, exchange: NodeExchange, life: NodeLife<HttpRequest, unknown>): Promise<void> {
    await life.failedOutside(error);
    if (!life.keepsAnswer) return this.errors.send(error, exchange);
    const answer = this.errors.of(error, exchange.requestId);
    await life.commit(() => ({ status: answer.status, headers: answer.headers, body: answer.text }));
    this.errors.send(error, exchange, answer);
  }

  /** From here on requests are refused: those over connections that are kept. */
  refuseRequests(): void {
    this.#isClosing = true;
    this.#ignore();
  }

  /** Waits for what is left of requests, then stops the container, if it is this app's own. */
  async stop(timeoutMs: number = this.closeTimeoutMs): Promise<void> {
    this.refuseRequests();
    await this.serving.stop(timeoutMs);
  }

  /** Numbers of requests and background work. */
  stats(): ServingStats {
    return this.serving.stats();
  }

  *metrics(): Iterable<MetricSample> {
    yield* this.serving.metrics();
    if (this.#metrics !== undefined) yield* this.#metrics.metrics();
  }
}

function route(exchange: NodeExchange): string | undefined {
  return exchange.route;
}

function failure({ life }: NodeExchange): unknown {
  return life?.failure;
}
