import type { Container, HealthEndpointOptions, RunningContainer } from "@steward/container";
import type { Binding } from "@steward/core";
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
  withMethods,
  type Rule,
  type Shape,
} from "@steward/core/driver";
import type { FastifyRequest } from "fastify";
import { problemShape, requestIdRule, type ProblemOptions, type SessionKey } from "@steward/server";
import type { AccessLogOptions } from "./app/access-log.ts";
import type { MetricsRoute } from "./app/endpoints.ts";
import type { FormOptions } from "./app/forms.ts";
import type { OpenApiOptions } from "./document/openapi.ts";

/** Where the container of an app comes from. */
export type ContainerSource =
  | {
      /** Started when the app gets ready, stopped when it has closed. */
      readonly container: Container<never>;
      readonly inputs?: readonly Binding[];
    }
  | {
      /** A container that somebody else starts and stops; a function where it is up later than the app. */
      readonly running: RunningContainer | (() => RunningContainer | undefined);
    };

/** Settings of the plugin. */
export interface StewardSettings {
  /** Dependencies of every route with needs. */
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
  /** `http.server.*` among the metrics of `app.steward`: requests that run, and how long each took. Default on. */
  readonly requestMetrics?: boolean;
  /** How errors are told. `false` leaves them to Fastify. */
  readonly errors?: ProblemOptions | false;
  /**
   * Answers what has no route, as errors are told: 405 with `allow` where the path has routes of other methods, else
   * 404. Default on; `false` where the app has a `setNotFoundHandler` of its own.
   */
  readonly notFound?: boolean;
  /**
   * Which session a request belongs to, such as `sessionCookie("sid")`; `undefined` for none, which is 401 for what
   * needs one. Called at most once for a request, and only where something of the lifetime `session` is needed.
   */
  readonly session?: SessionKey<FastifyRequest>;
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

const path = (): Rule => recognised((value) => typeof value === "string" && value.startsWith("/"), "a path such as /a");
const accessLog: Shape<AccessLogOptions> = shape<AccessLogOptions>(() => ({ redact: listOf(text()), quiet: func() }));

const forms: Shape<FormOptions> = shape<FormOptions>(() => ({
  maxFileBytes: wholeNumber(1),
  maxFiles: wholeNumber(0),
  maxFields: wholeNumber(0),
  maxFieldBytes: wholeNumber(1),
}));

const metrics: Shape<MetricsRoute> = shape<MetricsRoute>(() => ({
  path: path(),
  contentType: text(),
  token: text(),
  render: required(func()),
}));

const server: Shape<{ readonly url: string; readonly description?: string }> = shape<{
  readonly url: string;
  readonly description?: string;
}>(() => ({ url: required(text()), description: text(true) }));

const openapi: Shape<OpenApiOptions> = shape<OpenApiOptions>(() => ({
  title: required(text()),
  version: required(text()),
  description: text(true),
  servers: listOf(server),
  path: path(),
  docs: literalOr(false, path()),
}));

interface Registration extends StewardSettings {
  readonly container?: unknown;
  readonly inputs?: unknown;
  readonly running?: unknown;
  readonly prefix?: unknown;
  readonly logLevel?: unknown;
  readonly logSerializers?: unknown;
}

const source = (): Rule =>
  recognised((value) => typeof value === "function" || (typeof value === "object" && value !== null), "what runs");

/** What the options of the plugin must be; `prefix`, `logLevel` and `logSerializers` are Fastify's own. */
export const pluginShape: Shape<Registration> = shape<Registration>(
  () => ({
    container: withMethods("a container", "start"),
    inputs: anything(), // checked by the start
    running: source(),
    prefix: text(true),
    logLevel: anything(),
    logSerializers: anything(),
    dependencies: anything(), // told by the route that gets them
    timeoutMs: milliseconds(0),
    closeTimeoutMs: milliseconds(0),
    requestId: requestIdRule(),
    accessLog: literalOr(false, accessLog),
    requestMetrics: flag(),
    errors: literalOr(false, problemShape),
    notFound: flag(),
    session: func(),
    strictQuery: flag(),
    health: anything(), // checked by the endpoints
    metrics,
    forms: literalOr(false, forms),
    openapi,
  }),
  ({ container, running }) =>
    (container === undefined) === (running === undefined)
      ? { path: "container", message: "or running must be given, one of them" }
      : undefined,
  ({ inputs, running }) =>
    inputs !== undefined && running !== undefined
      ? { path: "inputs", message: "are for a container that this app starts" }
      : undefined,
);

/** What the options of {@link refusals} must be. */
export const refusalsShape: Shape<ProblemOptions & { readonly requestId?: string | false }> = shape<
  ProblemOptions & { readonly requestId?: string | false }
>(() => ({
  shape: oneOf("problem", "fastapi"),
  invalidStatus: recognised((value) => value === 400 || value === 422, "400 or 422"),
  tell: func(),
  requestId: requestIdRule(),
}));
