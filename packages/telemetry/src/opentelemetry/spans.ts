import { subscribe, unsubscribe } from "node:diagnostics_channel";
import {
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span,
  type Tracer,
} from "@opentelemetry/api";
import { CHANNELS, isStewardError, systemClock, type CallEvent, type Phase, type StateEvent } from "@steward/core";
import { assertShape, func, shape, type Shape } from "@steward/core/driver";
import { parseTraceparent } from "./traceparent.ts";

/** What spans are made of. */
export interface TraceOptions {
  /** Whether a call that ended gets a span. Default: every one. */
  readonly calls?: ((event: CallEvent) => boolean) | undefined;
}

const traceShape: Shape<TraceOptions> = shape<TraceOptions>(() => ({ calls: func() }));

/**
 * Makes a span for every start and stop of a resource, and for every guarded call, until it is disposed.
 *
 * A call's parent is the `traceContext` of the request that made it, or else the active span of OpenTelemetry. Spans
 * carry the error's code, never its message, which may name hosts.
 */
export function traceResources(tracer: Tracer, options: TraceOptions = {}): Disposable {
  assertShape("traceResources", traceShape, options);
  const phases = new PhaseSpans(tracer);
  const { calls } = options;
  const onState = (event: unknown): void => phases.notice(event as StateEvent); // what core sends on this channel
  const onCall = (event: unknown): void => {
    const call = event as CallEvent; // what core sends on this channel
    if (calls === undefined || calls(call)) spanOfCall(tracer, call);
  };
  subscribe(CHANNELS.state, onState);
  subscribe(CHANNELS.call, onCall);
  return {
    [Symbol.dispose]() {
      unsubscribe(CHANNELS.state, onState);
      unsubscribe(CHANNELS.call, onCall);
      phases.end();
    },
  };
}

/** The event comes when the call has ended, so its span begins in the past. */
function spanOfCall(tracer: Tracer, event: CallEvent): void {
  const end = systemClock.wallNow();
  const { resource, operation, queuedMs, durationMs } = event;
  const attributes = {
    "steward.resource": resource,
    "steward.queued_ms": queuedMs,
    ...(operation === undefined ? {} : { "steward.operation": operation }),
  };
  const span = tracer.startSpan(
    `call ${resource}`,
    { kind: SpanKind.CLIENT, startTime: end - durationMs, attributes },
    parentOf(event),
  );
  if (event.error !== undefined) failSpan(span, event.error);
  span.end(end);
}

/**
 * A call that waited in the queue, or ran into its deadline, is reported from the callback of another call, so the
 * span that is active then may not be its own.
 */
function parentOf({ traceContext, queuedMs, error }: CallEvent): Context {
  const spanContext = traceContext === undefined ? undefined : parseTraceparent(traceContext);
  if (spanContext !== undefined) return trace.setSpanContext(ROOT_CONTEXT, spanContext);
  return queuedMs > 0 || isStewardError(error, "DEADLINE_EXCEEDED") ? ROOT_CONTEXT : context.active();
}

/** Spans of starts and stops that are under way. Two resources of one name, in two containers, end in their order. */
class PhaseSpans {
  readonly #tracer: Tracer;
  readonly #open = new Map<string, Span[]>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  notice({ resource, from, to, error }: StateEvent): void {
    if (from === "starting" || from === "stopping") this.#close(`${wordOf(from)} ${resource}`, error);
    if (to === "starting" || to === "stopping") this.#begin(`${wordOf(to)} ${resource}`, resource);
  }

  #begin(name: string, resource: string): void {
    const span = this.#tracer.startSpan(name, { attributes: { "steward.resource": resource } });
    this.#open.set(name, [...(this.#open.get(name) ?? []), span]);
  }

  #close(name: string, error: unknown): void {
    const [span, ...others] = this.#open.get(name) ?? [];
    if (others.length === 0) this.#open.delete(name);
    else this.#open.set(name, others);
    if (span === undefined) return;
    if (error !== undefined) failSpan(span, error);
    span.end();
  }

  /** Ends what is under way, because its outcome will not be reported. */
  end(): void {
    for (const span of [...this.#open.values()].flat()) span.end();
    this.#open.clear();
  }
}

function wordOf(phase: Phase): string {
  return phase === "starting" ? "start" : "stop";
}

function failSpan(span: Span, error: unknown): void {
  const type =
    error instanceof Error && "code" in error && typeof error.code === "string"
      ? error.code
      : error instanceof Error
        ? error.name
        : "_OTHER";
  span.setAttribute("error.type", type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}
