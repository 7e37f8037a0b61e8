import { subscribe, unsubscribe } from "node:diagnostics_channel";
import {
  context,
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
import {
  CHANNELS,
  isStewardError,
  systemClock,
  type CallAbout,
  type CallBegin,
  type CallEvent,
  type RequestSpan,
} from "@steward/core";
import { parseTraceparent, traceparentOf } from "./traceparent.ts";

const KINDS: Readonly<Record<NonNullable<CallAbout["kind"]>, SpanKind>> = {
  client: SpanKind.CLIENT,
  server: SpanKind.SERVER,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
};

/** What names a span: the same of a call that begins and of one that ended. */
type Named = Pick<CallBegin, "resource" | "operation" | "about">;

/** A span that has not ended. */
interface Begun {
  readonly span: Span;
  /** When it began, in ms since 1970. */
  readonly at: number;
  /** All that its maker has under way. */
  readonly open: Set<Begun>;
  /** What another one, who heard of the call before, has made for it. */
  readonly before: RequestSpan | undefined;
}

const ALL = new WeakMap<RequestSpan, Begun>();

/** Makes a span for every call when it begins, so that what the call causes belongs to it. */
export function traceCalls(tracer: Tracer): Disposable {
  const open = new Set<Begun>();
  const onBegin = (published: unknown): void => {
    const event = published as CallBegin; // what core sends on this channel
    const at = systemClock.wallNow();
    const begun = { ...beginning(event), startTime: at };
    const span = tracer.startSpan(nameOf(event), begun, parentOf(event.traceContext) ?? context.active());
    if (!isSpanContextValid(span.spanContext())) return; // of a tracer that makes none
    const handle = {
      traceContext: traceparentOf(span.spanContext()),
      run: <T>(work: () => T): T => context.with(trace.setSpan(context.active(), span), work),
    };
    const made = { span, at, open, before: event.span };
    ALL.set(handle, made);
    open.add(made);
    event.span = handle;
  };
  const onEnd = (published: unknown): void => {
    const event = published as CallEvent; // what core sends on this channel
    const begun = begunIn(open, event.span);
    if (begun === undefined) return; // before we listened
    open.delete(begun);
    endCall(begun.span, event);
    begun.span.end(begun.at + event.durationMs);
  };
  subscribe(CHANNELS.callBegin, onBegin);
  subscribe(CHANNELS.call, onEnd);
  return {
    [Symbol.dispose]() {
      unsubscribe(CHANNELS.callBegin, onBegin);
      unsubscribe(CHANNELS.call, onEnd);
      for (const { span } of open) span.end();
      open.clear();
    },
  };
}

/** The one of a call that its maker has among those under way. */
function begunIn(open: Set<Begun>, last: RequestSpan | undefined): Begun | undefined {
  let begun = last === undefined ? undefined : ALL.get(last);
  while (begun !== undefined && begun.open !== open)
    begun = begun.before === undefined ? undefined : ALL.get(begun.before);
  return begun;
}

/** Makes spans of calls that have ended, and of some alone. */
export function traceEndedCalls(tracer: Tracer, calls: (event: CallEvent) => boolean): Disposable {
  const onCall = (published: unknown): void => {
    const event = published as CallEvent; // what core sends on this channel
    if (!calls(event)) return;
    const end = systemClock.wallNow();
    const begun = { ...beginning(event), startTime: end - event.durationMs };
    const span = tracer.startSpan(nameOf(event), begun, parentOfEnded(event));
    endCall(span, event);
    span.end(end);
  };
  subscribe(CHANNELS.call, onCall);
  return { [Symbol.dispose]: () => unsubscribe(CHANNELS.call, onCall) };
}

function beginning(event: Named): { readonly kind: SpanKind; readonly attributes: Attributes } {
  // A resource that says nothing of its calls may be anything; what it asks elsewhere are calls of their own.
  const kind = event.about === undefined ? "internal" : (event.about.kind ?? "client");
  return { kind: KINDS[kind], attributes: attributesOf(event) };
}

function attributesOf({ resource, operation, about }: Named): Attributes {
  const attributes = about?.attributes ?? {};
  const isStatement = "db.system.name" in attributes && about?.kind !== "internal" && operation !== undefined;
  return {
    "steward.resource": resource,
    ...(operation === undefined ? {} : { "steward.operation": operation }),
    ...(isStatement ? { "db.operation.name": operation } : {}),
    ...attributes,
  };
}

/** As the conventions say: few different names, and never what only one call has. */
function nameOf(event: Named): string {
  const { resource, operation, about } = event;
  const of = attributesOf(event);
  if (about?.kind === "internal") return operation === undefined ? resource : `${operation} ${resource}`;
  if ("http.request.method" in of)
    return of["http.request.method"] === "_OTHER" ? "HTTP" : `${of["http.request.method"]}`;
  if ("rpc.system.name" in of) return `${of["rpc.method"] ?? of["rpc.system.name"]}`;
  if ("messaging.system" in of) return `${of["messaging.operation.name"]}`;
  if ("db.system.name" in of) return databaseName(of);
  return `call ${resource}`;
}

/** The name of a database of Redis is a number, which says nothing in a name of a span. */
function databaseName(of: Attributes): string {
  const [address, port] = [of["server.address"], of["server.port"]];
  const server = port === undefined ? address : `${address}:${port}`;
  const target = of["db.system.name"] === "redis" ? server : (of["db.namespace"] ?? server);
  const operation = of["db.operation.name"];
  if (operation === undefined) return `${target ?? of["db.system.name"]}`;
  return target === undefined ? `${operation}` : `${operation} ${target}`;
}

/** Statuses with which a server says that the fault is its own. */
const FAULTS_OF_SERVERS = ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];

function endCall(span: Span, event: CallEvent): void {
  const { about, queuedMs, error } = event;
  const attributes = about?.attributes ?? {};
  span.setAttributes({ ...attributes, "steward.queued_ms": queuedMs });
  const [status, answer] = [attributes["rpc.response.status_code"], attributes["http.response.status_code"]];
  if (status !== undefined) {
    const failed = about?.kind === "server" ? FAULTS_OF_SERVERS.includes(`${status}`) : status !== "OK";
    if (failed) fail(span, `${status}`);
  } else if (error !== undefined) {
    const reply = replyOf(error, attributes);
    if (reply !== undefined) span.setAttribute("db.response.status_code", reply);
    fail(span, reply ?? typeOf(error));
  }
  if (typeof answer === "number" && answer >= 400) fail(span, `${answer}`);
}

/** What a database has replied: the SQLSTATE of Postgres, the first word of Redis. */
function replyOf(error: unknown, attributes: CallAbout["attributes"]): string | undefined {
  if (!("db.system.name" in attributes) || !(error instanceof Error)) return undefined;
  if ("severity" in error && "code" in error && typeof error.code === "string") return error.code;
  return error.name === "ReplyError" ? /^[A-Z]+/.exec(error.message)?.[0] : undefined;
}

/** Marks a span as failed, by the code of its error. */
export function failSpan(span: Span, error: unknown): void {
  fail(span, typeOf(error));
}

function fail(span: Span, type: string): void {
  span.setAttribute("error.type", type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return "_OTHER";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}

function parentOf(traceContext: string | undefined): Context | undefined {
  const parent = traceContext === undefined ? undefined : parseTraceparent(traceContext);
  return parent === undefined ? undefined : trace.setSpanContext(ROOT_CONTEXT, parent);
}

/**
 * A call that waited in the queue, or ran into its deadline, is reported from the callback of another call, so the
 * span that is active then may not be its own.
 */
function parentOfEnded({ traceContext, queuedMs, error }: CallEvent): Context {
  const isElsewhere = queuedMs > 0 || isStewardError(error, "DEADLINE_EXCEEDED");
  return parentOf(traceContext) ?? (isElsewhere ? ROOT_CONTEXT : context.active());
}
