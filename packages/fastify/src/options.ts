import type { HealthEndpointOptions } from "@steward/container";
import type { Needs } from "@steward/core/container";
import {
  anything,
  flag,
  func,
  literalOr,
  listOf,
  milliseconds,
  oneOf,
  recognised,
  required,
  shape,
  text,
  wholeNumber,
  type Rule,
  type Shape,
} from "@steward/core/driver";
import type { FastifyRequest } from "fastify";
import {
  formShape,
  hostsRule,
  problemShape,
  requestIdRule,
  type FormOptions,
  type ProblemOptions,
  type SessionKey,
} from "@steward/server";
import { sourceBetween, sourceRules, type ContainerSource } from "@steward/server/node";
import type { AccessLogOptions } from "./app/access-log.ts";
import type { MetricsRoute } from "./app/endpoints.ts";
import { openApiShape, type OpenApiOptions } from "./document/options.ts";

/** Settings of the plugin. */
export interface StewardSettings {
  /** Dependencies of every route with needs. */
  readonly dependencies?: Needs;
  /** How long a request may take, in ms, before managed calls are given up; 0 for no deadline. Default 30,000. */
  readonly timeoutMs?: number;
  /**
   * How long a client may take nothing of an answer that is sent part by part, or that has not been taken by its deadline,
   * in ms, until it is given up with its connection. Default 60,000.
   */
  readonly stallTimeoutMs?: number;
  /**
   * How long closing may take, in ms: requests, their cleanup, and the stop of a container of the app's own, for which
   * up to 5,000 of it are kept. Connections of requests that have not ended by then are cut. Default 15,000.
   */
  readonly closeTimeoutMs?: number;
  /**
   * Most connections at a time; those above are closed as they come. Default: three quarters of the descriptors that the
   * process may have, or all but 1,000, shared by its listeners, so that health and drivers can always open some; or
   * what `app.server.maxConnections` says. `false` for no cap.
   */
  readonly maxConnections?: number | false;
  /** Header of request ids, read and echoed. Default `x-request-id`; `false`: ids are as Fastify makes them. */
  readonly requestId?: string | false;
  /** Log of requests. Default on; switch Fastify's own off with `logController: new LogController({ disableRequestLogging: true })`. */
  readonly accessLog?: AccessLogOptions | false;
  /** `http.server.*` among the metrics of `app.steward`: requests that run, and how long each took. Default on. */
  readonly requestMetrics?: boolean;
  /**
   * Hosts that the app answers for besides this machine and addresses, without ports, such as `api.example`: a request
   * for another one is 421, so that no page on the web reaches it under a name of its own (DNS rebinding). Default: any.
   */
  readonly hosts?: readonly string[] | undefined;
  /** How errors are answered. `false`: as Fastify does. */
  readonly errors?: ProblemOptions | false;
  /**
   * Answers what has no route, as errors are: 405 with `allow` where the path has routes of other methods, else
   * 404. Default on; `false` where the app has a `setNotFoundHandler` of its own.
   */
  readonly notFound?: boolean;
  /**
   * Which session a request belongs to, such as `sessionCookie("sid")`; `undefined` for none, which is 401 for what
   * needs one. Called at most once for a request, and only where something of the lifetime `session` is needed.
   */
  readonly session?: SessionKey<FastifyRequest>;
  /** `true`: parameters of the query string that a route does not know are not valid. Default: no one looks at them. */
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

const path = (): Rule => recognised((value) => typeof value === "string" && value.startsWith("/"), "a path such as /a");
const accessLog: Shape<AccessLogOptions> = shape<AccessLogOptions>(() => ({ redact: listOf(text()), quiet: func() }));

const metrics: Shape<MetricsRoute> = shape<MetricsRoute>(() => ({
  path: path(),
  contentType: text(),
  token: text(),
  render: required(func()),
}));

interface Registration extends StewardSettings {
  readonly container?: unknown;
  readonly inputs?: unknown;
  readonly running?: unknown;
  readonly prefix?: unknown;
  readonly logLevel?: unknown;
  readonly logSerializers?: unknown;
}

/** What the options of the plugin must be; `prefix`, `logLevel` and `logSerializers` are Fastify's own. */
export const pluginShape: Shape<Registration> = shape<Registration>(
  () => ({
    ...sourceRules(),
    prefix: text(true),
    logLevel: anything(),
    logSerializers: anything(),
    dependencies: anything(), // checked by `depend`
    timeoutMs: milliseconds(0),
    stallTimeoutMs: milliseconds(1),
    closeTimeoutMs: milliseconds(0),
    maxConnections: literalOr(false, wholeNumber(1)),
    requestId: requestIdRule(),
    accessLog: literalOr(false, accessLog),
    requestMetrics: flag(),
    hosts: hostsRule(),
    errors: literalOr(false, problemShape),
    notFound: flag(),
    session: func(),
    strictQuery: flag(),
    health: anything(), // checked by the endpoints
    metrics,
    forms: literalOr(false, formShape),
    openapi: openApiShape,
  }),
  ...sourceBetween,
);

/** What the options of {@link refusals} must be. */
export const refusalsShape: Shape<ProblemOptions & { readonly requestId?: string | false }> = shape<
  ProblemOptions & { readonly requestId?: string | false }
>(() => ({
  shape: oneOf("problem", "fastapi"),
  invalidStatus: recognised((value) => value === 400 || value === 422, "400 or 422"),
  toHttpError: func(),
  requestId: requestIdRule(),
}));
