import { subscribe, unsubscribe } from "node:diagnostics_channel";
import {
  context,
  createTraceState,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
  type Tracer,
} from "@opentelemetry/api";
import { CHANNELS, type RequestEnd, type RequestEvent } from "@steward/core";
import { assertShape, func, shape, type Shape } from "@steward/core/driver";
import { parseTraceparent, traceparentOf } from "./traceparent.ts";

/** What spans of requests are made of. */
export interface TraceRequestsOptions {
  /** Whether a request that has come gets a span. Default: every one, health paths included. */
  readonly requests?: ((event: RequestEvent) => boolean) | undefined;
}

const requestsShape: Shape<TraceRequestsOptions> = shape<TraceRequestsOptions>(() => ({ requests: func() }));

/** Methods that have a name of their own in OpenTelemetry; clients may make up any others. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]);

/**
 * Makes a span for every request that a server of Steward's gets, until it is disposed: by OpenTelemetry's conventions
 * for HTTP, a child of the caller's `traceparent`, from the request's arrival until its response is closed.
 *
 * The span is the active one while handlers and dependencies run, and calls of managed resources belong to it. It fails
 * with a status from 500 on and where a response breaks off by our fault; a client that goes is an `error.type` alone.
 * Handshakes of WebSockets have none. Do not use OpenTelemetry's own instrumentation of incoming HTTP beside it: each
 * request would have two.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function traceRequests(tracer: Tracer, options: TraceRequestsOptions = {}): Disposable {
  assertShape("traceRequests", requestsShape, options);
  const { requests = () => true } = options;
  const spans = new Map<RequestEvent, Span>();
  const onRequest = (published: unknown): void => {
    const event = published as RequestEvent; // what core sends on this channel
    if (event.end !== undefined) {
      const span = spans.get(event);
      spans.delete(event);
      if (span !== undefined) endSpan(span, event, event.end);
    } else if (requests(event)) spans.set(event, beginSpan(tracer, event));
  };
  subscribe(CHANNELS.request, onRequest);
  return {
    [Symbol.dispose]() {
      unsubscribe(CHANNELS.request, onRequest);
      for (const span of spans.values()) span.end(); // how they end will not be reported
      spans.clear();
    },
  };
}

function beginSpan(tracer: Tracer, event: RequestEvent): Span {
  const parent = parentOf(event);
  const span = tracer.startSpan(
    methodOf(event).name,
    { kind: SpanKind.SERVER, attributes: attributesOf(event) },
    parent,
  );
  if (isSpanContextValid(span.spanContext()))
    event.span = {
      traceContext: traceparentOf(span.spanContext()),
      run: (work) => context.with(trace.setSpan(context.active(), span), work),
    };
  return span;
}

function parentOf({ traceContext, traceState }: RequestEvent): Context {
  const caller = traceContext === undefined ? undefined : parseTraceparent(traceContext);
  if (caller === undefined) return ROOT_CONTEXT;
  const state = traceState === undefined ? {} : { traceState: createTraceState(traceState) };
  return trace.setSpanContext(ROOT_CONTEXT, { ...caller, ...state });
}

function methodOf({ method }: RequestEvent): { readonly name: string; readonly attribute: string } {
  return METHODS.has(method) ? { name: method, attribute: method } : { name: "HTTP", attribute: "_OTHER" };
}

function attributesOf(event: RequestEvent): Attributes {
  const { method, scheme, url, httpVersion, userAgent, peer } = event;
  const { attribute } = methodOf(event);
  const at = url.indexOf("?");
  return {
    "http.request.method": attribute,
    ...(attribute === method ? {} : { "http.request.method_original": method }),
    "url.scheme": scheme,
    "url.path": at < 0 ? url : url.slice(0, at),
    ...(at < 0 ? {} : { "url.query": url.slice(at + 1) }),
    "network.protocol.version": httpVersion,
    ...(userAgent === undefined ? {} : { "user_agent.original": userAgent }),
    ...(peer === undefined ? {} : { "network.peer.address": peer.address, "network.peer.port": peer.port }),
    ...hostOf(event),
  };
}

const HOST = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/;

function hostOf({ host }: RequestEvent): Attributes {
  const [, ipv6, name, port] = HOST.exec(host ?? "") ?? [];
  const address = ipv6 ?? name;
  if (address === undefined) return {};
  return { "server.address": address, ...(port === undefined ? {} : { "server.port": Number(port) }) };
}

function endSpan(span: Span, event: RequestEvent, { route, status, errorType }: RequestEnd): void {
  if (route !== undefined) {
    span.updateName(`${methodOf(event).name} ${route}`);
    span.setAttribute("http.route", route);
  }
  if (status !== undefined) span.setAttribute("http.response.status_code", status);
  if (errorType !== undefined) span.setAttribute("error.type", errorType);
  const isOurs = errorType !== undefined && errorType !== "CALL_ABORTED";
  if (isOurs) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}
