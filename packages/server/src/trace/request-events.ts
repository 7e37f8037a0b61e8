import type { IncomingMessage, ServerResponse } from "node:http";
import type { RequestEnd, RequestEvent, RequestSpan } from "@steward/core";
import { publishRequest, requestsAreHeard } from "@steward/core/driver";
import { SECRET_PARAMETERS, urlMask } from "../log/url-mask.ts";
import { errorTypeOf, schemeOf, statusOf, type RequestFacts } from "../metrics/request-metrics.ts";

/** Requests that are heard, by their responses: these every framework has. */
const heard = new WeakMap<ServerResponse, Heard>();

/** The span of a request, where somebody listens and has made one. */
export function spanOf(response: ServerResponse): RequestSpan | undefined {
  return requestsAreHeard() ? heard.get(response)?.span : undefined;
}

/** Announces the requests of an app on `CHANNELS.request`. Where no one listens it does nothing. */
export class RequestEvents<Request> {
  readonly #facts: RequestFacts<Request>;
  readonly #masked: (url: string) => string;

  /** @param redact Names of query parameters whose values are masked. */
  constructor(facts: RequestFacts<Request>, redact: readonly string[] = SECRET_PARAMETERS) {
    this.#facts = facts;
    this.#masked = urlMask(redact);
  }

  /** A request has come. */
  begin(request: Request, requestId: string, incoming: IncomingMessage, response: ServerResponse): void {
    if (!requestsAreHeard() || incoming.headers.upgrade !== undefined) return;
    const event = new Heard(requestId, incoming, this.#masked(incoming.url ?? "/"));
    heard.set(response, event);
    publishRequest(event);
    response.once("close", () => {
      const errorType = errorTypeOf(response, this.#facts.failure(request));
      event.end = { route: this.#facts.route(request), status: statusOf(response), errorType };
      publishRequest(event);
    });
  }
}

/** One request that is heard. */
class Heard implements RequestEvent {
  readonly requestId: string;
  readonly method: string;
  readonly scheme: "http" | "https";
  readonly url: string;
  readonly httpVersion: string;
  readonly host: string | undefined;
  readonly userAgent: string | undefined;
  readonly peer: RequestEvent["peer"];
  readonly traceContext: string | undefined;
  readonly traceState: string | undefined;
  span: RequestSpan | undefined = undefined;
  end: RequestEnd | undefined = undefined;

  constructor(requestId: string, incoming: IncomingMessage, url: string) {
    const { headers, httpVersion, method = "", socket } = incoming;
    const { remoteAddress: address, remotePort: port } = socket;
    this.requestId = requestId;
    this.method = method;
    this.scheme = schemeOf(incoming);
    this.url = url;
    this.httpVersion = httpVersion.replace(/\.0$/, "");
    this.host = textOf(headers[":authority"]) ?? headers.host;
    this.userAgent = headers["user-agent"];
    this.peer = address === undefined || port === undefined ? undefined : { address, port };
    this.traceContext = textOf(headers["traceparent"]);
    this.traceState = textOf(headers["tracestate"]);
  }
}

function textOf(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" ? header : undefined;
}
