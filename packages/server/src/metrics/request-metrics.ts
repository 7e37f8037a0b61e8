import type { IncomingMessage, ServerResponse } from "node:http";
import { systemClock, type Clock, type MetricSample, type MetricsSource } from "@steward/core";
import { Histogram } from "@steward/core/driver";

/** What an adapter knows of its framework's requests. */
export interface RequestFacts<Request> {
  /** The template of the route, such as `/videos/:id`; `undefined` where no route has the path. */
  route(request: Request): string | undefined;
  /** What failed while the answer was sent; `undefined` where nothing of ours did. */
  failure(request: Request): unknown;
}

/** Buckets that the OpenTelemetry conventions advise for durations of HTTP requests, in s. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
/** Outcomes of one route and method that have series of their own; there is no end to statuses and codes of errors. */
const MAX_OUTCOMES = 50;
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]);

/** One outcome of the requests of a route. */
interface Outcome {
  readonly status: number | undefined;
  readonly errorType: string | undefined;
  readonly durations: Histogram;
}

/** Requests of one method and scheme. */
interface Requests {
  readonly method: string;
  readonly scheme: "http" | "https";
  readonly byRoute: Map<string | undefined, Outcome[]>;
  active: number;
}

/**
 * Counts and times requests by the conventions of OpenTelemetry: `http.server.request.duration`, from the first look at
 * a request until its response is closed, and `http.server.active_requests`. Each request is recorded once, however it
 * ended. WebSockets are counted where their handshake was answered with a status, that is, refused.
 */
export class RequestMetrics<Request> implements MetricsSource {
  readonly #facts: RequestFacts<Request>;
  readonly #clock: Clock;
  readonly #requests: Requests[] = [];

  constructor(facts: RequestFacts<Request>, clock: Clock = systemClock) {
    this.#facts = facts;
    this.#clock = clock;
  }

  /** A request has come. */
  begin(request: Request, incoming: IncomingMessage, response: ServerResponse): void {
    const requests = this.#of(incoming);
    const since = this.#clock.now();
    const isUpgrade = incoming.headers.upgrade !== undefined;
    if (!isUpgrade) requests.active++;
    response.once("close", () => {
      if (!isUpgrade) requests.active--;
      else if (!response.headersSent) return;
      this.#outcome(requests, request, response).durations.record((this.#clock.now() - since) / 1_000);
    });
  }

  #of(incoming: IncomingMessage): Requests {
    const method = METHODS.has(incoming.method ?? "") ? (incoming.method as string) : "_OTHER"; // the set holds it
    const scheme = schemeOf(incoming);
    for (const known of this.#requests) if (known.method === method && known.scheme === scheme) return known;
    const made: Requests = { method, scheme, byRoute: new Map(), active: 0 };
    this.#requests.push(made);
    return made;
  }

  #outcome({ byRoute }: Requests, request: Request, response: ServerResponse): Outcome {
    const route = this.#facts.route(request);
    let outcomes = byRoute.get(route);
    if (outcomes === undefined) byRoute.set(route, (outcomes = []));
    return outcomeOf(outcomes, statusOf(response), errorTypeOf(response, this.#facts.failure(request)));
  }

  *metrics(): Iterable<MetricSample> {
    for (const { method, scheme, active, byRoute } of this.#requests) {
      const attributes = { "http.request.method": method, "url.scheme": scheme };
      yield {
        name: "http.server.active_requests",
        kind: "gauge",
        unit: "{request}",
        attributes,
        value: active,
      };
      for (const [route, outcomes] of byRoute)
        for (const { status, errorType, durations } of outcomes)
          yield {
            name: "http.server.request.duration",
            kind: "histogram",
            unit: "s",
            attributes: {
              ...attributes,
              ...(route === undefined ? {} : { "http.route": route }),
              ...(status === undefined ? {} : { "http.response.status_code": String(status) }),
              ...(errorType === undefined ? {} : { "error.type": errorType }),
            },
            value: durations.value(),
          };
    }
  }
}

/** How a client reaches the server. */
export function schemeOf({ socket }: IncomingMessage): "http" | "https" {
  return "encrypted" in socket && socket.encrypted === true ? "https" : "http";
}

/** The status that was sent; `undefined` where none was. */
export function statusOf(response: ServerResponse): number | undefined {
  return response.headersSent ? response.statusCode : undefined;
}

/** A status from 500 on; or what ended a response before it was complete. */
export function errorTypeOf(response: ServerResponse, failure: unknown): string | undefined {
  const status = statusOf(response);
  if (response.writableEnded) return status !== undefined && status >= 500 ? String(status) : undefined;
  if (failure === undefined) return "CALL_ABORTED";
  if (!(failure instanceof Error)) return "_OTHER";
  return "code" in failure && typeof failure.code === "string" ? failure.code : failure.name;
}

function outcomeOf(outcomes: Outcome[], status: number | undefined, errorType: string | undefined): Outcome {
  for (const known of outcomes) if (known.status === status && known.errorType === errorType) return known;
  if (outcomes.length >= MAX_OUTCOMES && errorType !== "_OTHER") return outcomeOf(outcomes, undefined, "_OTHER");
  const made: Outcome = { status, errorType, durations: new Histogram(BOUNDS) };
  outcomes.push(made);
  return made;
}
