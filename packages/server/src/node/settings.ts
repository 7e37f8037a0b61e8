import type { Container, HealthEndpointOptions, RunningContainer } from "@steward/container";
import type { Binding } from "@steward/core";
import {
  anything,
  flag,
  func,
  literalOr,
  milliseconds,
  shape,
  recognised,
  wholeNumber,
  withMethods,
  type BetweenRule,
  type RulesOf,
  type Shape,
} from "@steward/core/driver";
import { formShape, type FormOptions } from "../forms/options.ts";
import type { HttpRequest, RequestLog } from "../life/exchange.ts";
import type { RunningSource } from "../life/serving.ts";
import { problemShape, requestIdRule } from "../options.ts";
import type { ProblemOptions } from "../problem/problem.ts";
import type { SessionKey } from "../route/session-key.ts";
import { hostsRule } from "../security/host.ts";

/** Where requests and their failures are logged; a logger of pino is one. */
export interface NodeLog extends RequestLog {
  /** One line for each request, when it is over. Without it there is no access log. */
  info?(details: object, message: string): void;
}

/** Where the container of an app comes from. */
export type ContainerSource =
  | {
      /** Started and stopped with the app. */
      readonly container: Container<never>;
      readonly inputs?: readonly Binding[];
    }
  | {
      /** A container that somebody else starts and stops; a function where it is up later than the app. */
      readonly running: RunningContainer | (() => RunningContainer | undefined);
    };

/** The container of an app, as what its requests share takes it. */
export function sourceOf(options: ContainerSource): RunningSource {
  if ("container" in options) return { container: options.container, inputs: options.inputs ?? [] };
  const { running } = options;
  return typeof running === "function" ? running : () => running;
}

/** What {@link ContainerSource} is, looked at before its types are sure. */
export interface GivenSource {
  readonly container?: unknown;
  readonly inputs?: unknown;
  readonly running?: unknown;
}

/** The rules of a container's source. */
export function sourceRules(): RulesOf<GivenSource> {
  return {
    container: withMethods("a container", "start"),
    inputs: anything(), // checked by the start
    running: recognised(
      (value) => typeof value === "function" || (typeof value === "object" && value !== null),
      "what runs",
    ),
  };
}

/** What goes together in a container's source. */
export const sourceBetween: readonly BetweenRule<GivenSource>[] = [
  ({ container, running }) =>
    (container === undefined) === (running === undefined)
      ? { path: "container", message: "or running must be given, one of them" }
      : undefined,
  ({ inputs, running }) =>
    inputs !== undefined && running !== undefined
      ? { path: "inputs", message: "are for a container that this app starts" }
      : undefined,
];

/** Settings of an app, the same on every server. */
export interface NodeSettings<Request = HttpRequest> {
  /** How long a request may take, in ms, until it is answered with 504; 0 for no deadline. Default 30,000. */
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
   * process may have, or all but 1,000, shared by its listeners. `false` for no cap.
   */
  readonly maxConnections?: number | false;
  /** Longest body that is read into memory, in bytes: 413 for a longer one. Default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** Bounds of multipart forms; `false`: they are not read. */
  readonly forms?: FormOptions | false;
  /** Header of request ids, read and echoed. Default `x-request-id`; `false` echoes none. */
  readonly requestId?: string | false;
  /**
   * Hosts that the server answers for besides this machine and addresses, without ports, such as `api.example`: a request
   * for another one is 421, so that no page on the web reaches it under a name of its own (DNS rebinding). Default: any.
   */
  readonly hosts?: readonly string[] | undefined;
  /** How clients learn of errors. */
  readonly errors?: ProblemOptions;
  /** Which session a request belongs to, such as `sessionCookie("sid")`; without it, routes cannot need what belongs to sessions. */
  readonly session?: SessionKey<Request>;
  /** `true`: parameters of the query string that a route does not know are not valid. Default: no one looks at them. */
  readonly strictQuery?: boolean;
  /** Health routes. Default on, without a prefix. */
  readonly health?: HealthEndpointOptions | false;
  /** `http.server.*` among the metrics: requests that run, and how long each took. Default on. */
  readonly requestMetrics?: boolean;
  /** Where failures and requests are logged. Default nowhere. Secrets in query strings are masked. */
  readonly log?: NodeLog;
}

/** The rules of the settings, for the options of an adapter that has more. */
export function settingRules(): RulesOf<NodeSettings> {
  return {
    timeoutMs: milliseconds(0),
    stallTimeoutMs: milliseconds(1),
    closeTimeoutMs: milliseconds(0),
    maxConnections: literalOr(false, wholeNumber(1)),
    maxBodyBytes: wholeNumber(1),
    forms: literalOr(false, formShape),
    requestId: requestIdRule(),
    hosts: hostsRule(),
    errors: problemShape,
    session: func(),
    strictQuery: flag(),
    health: literalOr(false, anything()), // checked by the endpoints
    requestMetrics: flag(),
    log: withMethods("a log", "error"),
  };
}

/** What the settings must be. */
export const settingsShape: Shape<NodeSettings> = shape<NodeSettings>(settingRules);
