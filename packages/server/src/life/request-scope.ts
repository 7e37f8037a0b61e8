import type { ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import type { FrameworkScope } from "@steward/container/framework";
import { runWithContext, StewardError, systemClock, type Binding, type RequestContext } from "@steward/core";
import type { AnyDefinition } from "@steward/core/container";
import { publishUnhandled, soundTraceparent, TimerEntry, timingWheelOf } from "@steward/core/driver";
import { isMultipart, MultipartForm } from "../forms/multipart-form.ts";
import type { FormOptions, WantedFile } from "../forms/options.ts";
import { Invalid } from "../inputs/issue.ts";
import { Background, Tasks } from "./background.ts";
import type { HttpRequest, RequestLog } from "./exchange.ts";
import { NEXT, type Outcome, type Phase } from "./phase.ts";
import type { Serving } from "./serving.ts";
import { loggable } from "../log/loggable.ts";
import { spanOf } from "../trace/request-events.ts";
import { within } from "./within.ts";

/** How long a stream of a client that has gone may take to end before its scope is released all the same, in ms. */
const STREAM_MS = 5_000;
/** How long the handler of a closed socket may take to end, in ms. */
export const SOCKET_MS = 3_000;

/**
 * What a request holds and how it is given back: its scope, abort signal, background work and outcome.
 *
 * The scope ends once: when nothing of the request runs any more and the response is over, whether it was sent,
 * aborted, taken over or never came. Of all events only `close` of the response comes in every one of these cases; it
 * can come before the handler has ended, so both are waited for.
 */
export abstract class RequestScope<Request extends HttpRequest, Reply> extends TimerEntry implements RequestContext {
  readonly request: Request;
  readonly reply: Reply;
  readonly requestId: string;
  /** Whom it is made by, once a principal has said so. */
  actor: string | undefined = undefined;
  protected readonly serving: Serving;
  protected phase: Phase = "open";
  protected outcome: Outcome | undefined = undefined;
  #scope: FrameworkScope | undefined = undefined;
  /** Values of the needs that were resolved last, where these are not all that the scope was opened for. */
  values: unknown = undefined;
  /** Inputs that were read for a later part of the request. */
  #inputs: Map<AnyDefinition, unknown> | undefined = undefined;
  #background: Background | undefined = undefined;
  #tasks: Tasks | undefined = undefined;
  #abort: AbortController | undefined = undefined;
  #form: MultipartForm | undefined = undefined;
  /** The end of a stream that is the answer. */
  protected stream: Promise<void> | undefined = undefined;
  /** Handlers and hooks of this request that run now. */
  protected running = 0;
  /** @internal Neighbours among the open requests. */
  older: RequestScope<HttpRequest, unknown> | undefined = undefined;
  /** @internal */
  newer: RequestScope<HttpRequest, unknown> | undefined = undefined;
  #watched = false;
  #timed = false;
  /** True once the request has become a socket. */
  protected isSocket = false;

  protected constructor(serving: Serving, request: Request, reply: Reply, requestId: string, timeoutMs: number) {
    super();
    this.serving = serving;
    this.request = request;
    this.reply = reply;
    this.requestId = requestId;
    if (timeoutMs > 0) this.deadline = systemClock.now() + timeoutMs;
  }

  /** Node's response. */
  protected abstract get response(): ServerResponse;
  /** True once an answer has begun, or somebody else gives one. */
  protected abstract get answered(): boolean;
  protected abstract get log(): RequestLog;
  /** Method and route, for logs. */
  abstract get name(): string;

  /** Aborts when the client has gone or the deadline has passed. Made when it is asked for. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.outcome !== undefined) this.#abort.abort(this.outcome.error);
      else this.time();
      this.watch();
      this.#followScope();
    }
    return this.#abort.signal;
  }

  /** The span that stands for the request, or else that of its caller. */
  get traceContext(): string | undefined {
    const span = spanOf(this.response);
    if (span !== undefined) return span.traceContext;
    return soundTraceparent(this.request.headers["traceparent"]);
  }

  /** Runs work as part of this request. */
  protected within<T>(work: () => T): T {
    const span = spanOf(this.response);
    return span === undefined ? runWithContext(this, work) : span.run(() => runWithContext(this, work));
  }

  /** Work for after the response. */
  get background(): Background {
    return (this.#background ??= new Background((task) => {
      (this.#tasks ??= new Tasks(this.serving, () => this.#scope)).add(task);
      this.watch();
    }));
  }

  /** Sets a header of the answer, whatever that becomes; does nothing once it has begun. */
  setHeader(name: string, value: string): void {
    if (!this.response.headersSent) this.response.setHeader(name, value);
  }

  /** Adds a header beside others of its name; does nothing once the answer has begun. */
  appendHeader(name: string, value: string): void {
    if (!this.response.headersSent) this.response.appendHeader(name, value);
  }

  /** The scope, once it is open. */
  get scope(): FrameworkScope | undefined {
    return this.#scope;
  }

  /** The values of the needs that were resolved last. */
  get resolved(): unknown {
    return this.values ?? this.#scope?.result;
  }

  /** True while parts of the request may still begin. */
  get isOpen(): boolean {
    return this.phase === "open" || this.phase === "replied";
  }

  /** What of ours failed; `undefined` where nothing did, also where the client has gone. */
  get failure(): unknown {
    return this.outcome?.kind === "failed" ? this.outcome.error : undefined;
  }

  /** The bytes of the request's body. */
  protected get incoming(): Readable {
    return this.response.req;
  }

  /** Reads the body that the route takes, where that has not been done; set by adapters that can wait with it. */
  unread: (() => Promise<unknown>) | undefined = undefined;

  /** True where the body is a multipart form that no one has read. */
  get hasForm(): boolean {
    const { headers, body } = this.request;
    return this.#form === undefined && (body === undefined || body === null) && isMultipart(headers["content-type"]);
  }

  /** Reads a multipart form into the request's body. What it holds is given back with the scope. */
  async readForm(wanted: ReadonlyMap<string, WantedFile>, options: FormOptions): Promise<void> {
    const { request } = this;
    this.#form = new MultipartForm(this.incoming, wanted, options);
    this.watch();
    const body = await this.#form.read(request.headers["content-type"] ?? "");
    (request as { body?: unknown }).body = body; // where every framework has it
  }

  /** Reads the body that an adapter has waited with. */
  async readUnread(): Promise<void> {
    const read = this.unread;
    this.unread = undefined;
    (this.request as { body?: unknown }).body = await read?.(); // as above
  }

  /** Takes a scope that was opened for this request. */
  enter(scope: FrameworkScope): FrameworkScope {
    this.serving.opened(this);
    this.#scope = scope;
    if (this.#abort !== undefined) this.#followScope();
    return scope;
  }

  /** Keeps inputs that were read after the scope had been opened. */
  keep(inputs: readonly Binding[]): void {
    const kept = (this.#inputs ??= new Map<AnyDefinition, unknown>());
    for (const { input, value } of inputs) if (!(value instanceof Invalid)) kept.set(input, value);
  }

  /** An input that was kept. */
  kept(input: AnyDefinition): { readonly value: unknown } | undefined {
    return this.#inputs?.has(input) === true ? { value: this.#inputs.get(input) } : undefined;
  }

  /** @internal The stream that is the answer has failed. */
  streamFailed(error: unknown): void {
    this.note({ kind: "failed", error });
  }

  protected time(): void {
    if (this.#timed || this.deadline === Number.POSITIVE_INFINITY || !this.isOpen) return;
    this.#timed = true;
    timingWheelOf(systemClock).add(this);
  }

  protected untime(): void {
    if (this.#timed) timingWheelOf(systemClock).remove(this);
    this.#timed = false;
    this.deadline = Number.POSITIVE_INFINITY;
  }

  /** The container gives up scopes that do not end when it stops. */
  #followScope(): void {
    const [scope, abort] = [this.#scope, this.#abort];
    if (scope === undefined || abort === undefined || !this.isOpen) return;
    scope.signal.addEventListener("abort", () => {
      if (scope.isOpen) abort.abort(scope.signal.reason);
    });
  }

  /** Ends managed calls, what else follows the signal, and an upload that still comes behind its answer. */
  protected giveUpCalls(error: unknown): void {
    if (this.phase === "replied") this.#form?.breakOff();
    this.#abort?.abort(error);
  }

  protected note(outcome: Outcome): void {
    if (this.outcome?.kind !== "failed") this.outcome = outcome;
    this.#scope?.abort(outcome.error);
    this.#abort?.abort(outcome.error);
  }

  /** Unwinds everything, so that dependencies see the error before it is answered. Throws what they made of it. */
  protected async fail(error: unknown): Promise<never> {
    if (this.outcome?.kind !== "failed") this.outcome = { kind: "failed", error };
    this.#tasks?.forget();
    const scope = this.#scope;
    if (scope !== undefined && this.#enter("ended")) await scope.close(this.outcome);
    throw error;
  }

  /** Something that has to end before resources stop. */
  protected track(work: Promise<unknown>): void {
    this.serving.track(work, this.name);
  }

  protected end(): void {
    if (--this.running === 0 && this.phase === "replied") this.finish();
  }

  /** Ends at once where nothing has to be undone and nothing of the reply can still need the scope. */
  protected endAtOnce(): boolean {
    if (this.phase !== "open") return true;
    const scope = this.#scope;
    if (this.running > 0 || this.#tasks !== undefined || scope?.endsAtOnce !== true) return false;
    this.#enter("ended");
    scope.endAtOnce();
    return true;
  }

  /** Learns of the end of the response. */
  protected watch(): void {
    if (this.#watched) return;
    this.#watched = true;
    if (this.response.destroyed) this.responseOver();
    else this.response.on("close", () => this.responseOver());
  }

  /** The response, or the socket, is closed. */
  protected responseOver(): void {
    if (this.phase !== "open") return;
    if (!this.response.writableEnded && this.outcome === undefined) this.#clientGone();
    if (this.running === 0) return this.finish();
    this.#enter("replied");
    this.#form?.outlive(this.response.req, this.outcome === undefined ? this.deadline : 0);
    if (!this.isSocket) return;
    this.deadline = systemClock.now() + SOCKET_MS;
    this.time();
  }

  #clientGone(): void {
    const error = new StewardError("CALL_ABORTED", "the client has gone before the response was complete");
    if (!this.isSocket) return this.note({ kind: "gone", error });
    this.#scope?.abort(error); // the end of a socket is no accident
    this.#abort?.abort(error);
  }

  protected finish(): void {
    const scope = this.#scope;
    const isQuick = this.#tasks?.pending !== true && this.stream === undefined && scope?.endsAtOnce !== false;
    if (isQuick) {
      if (this.#enter("ended")) scope?.endAtOnce();
    } else if (this.#enter("ending")) {
      this.serving.track(
        this.serving.afterwards(this, () => this.#release()),
        this.name,
      );
    }
  }

  /** The one guarded change of the phase. `false`: somebody else was first. */
  #enter(phase: Phase): boolean {
    if (!NEXT[this.phase].includes(phase)) return false;
    this.phase = phase;
    if (phase !== "ended") return true;
    if (this.#timed) timingWheelOf(systemClock).remove(this);
    if (this.#form !== undefined) this.track(this.#form.close());
    if (this.#scope !== undefined) this.serving.closed(this);
    return true;
  }

  async #release(): Promise<void> {
    if (this.stream !== undefined && !(await within(this.stream, STREAM_MS)))
      this.log.error({}, `the stream of ${this.name} has not ended ${STREAM_MS} ms after its client had gone`);
    await this.#tasks?.run(this);
    this.#enter("ended");
    try {
      await this.#scope?.close(this.outcome);
    } catch (error) {
      if (error !== this.outcome?.error) {
        this.log.error({ err: loggable(error) }, "what the request used was not released cleanly");
        publishUnhandled("release", error, { requestId: this.requestId });
      }
    }
    await this.#tasks?.run(this); // what cleanup has added
  }

  /** @internal One of the tasks has failed. */
  taskFailed(error: unknown, task: string): void {
    this.outcome ??= { kind: "failed", error };
    this.log.error({ err: loggable(error), task }, "a background task failed");
    publishUnhandled("task", error, { name: task, requestId: this.requestId });
  }
}
