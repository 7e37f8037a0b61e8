import { AsyncLocalStorage } from "node:async_hooks";

/** What travels with one unit of work (a request, a job) through everything it awaits. */
export interface RequestContext {
  /** Instant, in ms of the monotonic clock, after which no one waits for the answer any more. */
  readonly deadline?: number | undefined;
  /** Aborts when the caller has gone. */
  readonly signal?: AbortSignal | undefined;
  /** Id of the request, as it stands in the log. */
  readonly requestId?: string | undefined;
  /** W3C `traceparent` of the span that the work belongs to. */
  readonly traceContext?: string | undefined;
  /** Id of the user or service that it is done for, once that is known: see {@link setActor}. */
  readonly actor?: string | undefined;
}

const KEY = Symbol.for("steward.context");

/** Two copies of this package share one storage, so a deadline set through one is seen through the other. */
function sharedStorage(): AsyncLocalStorage<RequestContext> {
  const holder = globalThis as { [KEY]?: AsyncLocalStorage<RequestContext> }; // the one global of ours
  return (holder[KEY] ??= new AsyncLocalStorage<RequestContext>());
}

const storage = sharedStorage();

/** The context of the work that is running now, or `undefined` outside of any. */
export function currentContext(): RequestContext | undefined {
  return storage.getStore();
}

/**
 * Runs `work` with the given context; everything that it awaits sees it.
 *
 * A field left out is taken from the surrounding context, and a deadline can only come closer.
 */
export function runWithContext<T>(context: RequestContext, work: () => T): T {
  const outer = storage.getStore();
  return storage.run(outer === undefined ? context : inherit(outer, context), work);
}

/**
 * Runs `work` outside of any request. A timer that is set while a request runs keeps that request's context: what a resource
 * does then for itself, such as a probe, would have the deadline of a request that was over long ago.
 */
export function outsideRequests<T>(work: () => T): T {
  return storage.exit(work);
}

/**
 * Notes for whom the work that is running now is done; audit events of what it does from here on name it. `principal` of the
 * server packages does so. Outside of any context it does nothing.
 */
export function setActor(actor: string): void {
  const context: { actor?: string | undefined } | undefined = storage.getStore();
  if (context !== undefined && Object.isExtensible(context)) context.actor = actor;
}

function inherit(outer: RequestContext, inner: RequestContext): RequestContext {
  return {
    deadline: earlier(outer.deadline, inner.deadline),
    signal: inner.signal ?? outer.signal,
    requestId: inner.requestId ?? outer.requestId,
    traceContext: inner.traceContext ?? outer.traceContext,
    actor: inner.actor ?? outer.actor,
  };
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}

/** The fields that every version of W3C Trace Context has; those after 00 may add more behind them. */
const TRACEPARENT = /^([\da-f]{2})-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}(?=$|-)/;
const REQUEST_ID = /^[\w.:-]{1,128}$/;

/** Of an id and a W3C `traceparent` that a caller sent: what can go on to logs and to other services as it is. For drivers. */
export function soundContext(requestId: unknown, traceContext: unknown): RequestContext {
  const id = typeof requestId === "string" && REQUEST_ID.test(requestId) ? requestId : undefined;
  return { requestId: id, traceContext: soundTraceparent(traceContext) };
}

/** Of a W3C `traceparent` that a caller sent: its known fields, so that nothing else of the caller's goes on with them. */
export function soundTraceparent(given: unknown): string | undefined {
  const [fields, version] = (typeof given === "string" && TRACEPARENT.exec(given)) || [];
  return version === "00" && fields !== given ? undefined : fields;
}
