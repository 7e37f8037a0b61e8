import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Span, Tracer } from "@opentelemetry/api";
import { CHANNELS, type CallEvent, type Phase, type StateEvent } from "@steward/core";
import { assertShape, func, shape, type Shape } from "@steward/core/driver";
import { failSpan, traceCalls, traceEndedCalls } from "./calls.ts";

/** What spans are made of. */
export interface TraceOptions {
  /**
   * Whether a call that ended gets a span. Default: every one. With it spans are made at the end of calls, so what a call causes
   * elsewhere belongs to its request and not to the call.
   */
  readonly calls?: ((event: CallEvent) => boolean) | undefined;
}

const traceShape: Shape<TraceOptions> = shape<TraceOptions>(() => ({ calls: func() }));

/**
 * Makes a span for every start and stop of a resource, and for every guarded call, until it is disposed.
 *
 * A call's parent is the `traceContext` of the request that made it, or else the active span of OpenTelemetry. What it calls, here
 * or in another process, belongs to its span. Names, kinds and attributes are those of OpenTelemetry's conventions for HTTP,
 * databases, RPC and messaging. Spans carry the error's code, never its message, which may name hosts.
 */
export function traceResources(tracer: Tracer, options: TraceOptions = {}): Disposable {
  assertShape("traceResources", traceShape, options);
  const phases = new PhaseSpans(tracer);
  const { calls } = options;
  const onState = (event: unknown): void => phases.notice(event as StateEvent); // what core sends on this channel
  const tracing = calls === undefined ? traceCalls(tracer) : traceEndedCalls(tracer, calls);
  subscribe(CHANNELS.state, onState);
  return {
    [Symbol.dispose]() {
      unsubscribe(CHANNELS.state, onState);
      tracing[Symbol.dispose]();
      phases.end();
    },
  };
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
