import type { FrameworkScope } from "@steward/container";
import { timingWheelOf, TimerEntry, StewardError, systemClock, type Binding, type RequestContext } from "@steward/core";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Background, type Task } from "./background.ts";
import { fastifyError } from "./errors.ts";
import type { Entrance } from "./entrance.ts";
import { Invalid } from "./inputs/issue.ts";
import type { AnyDefinition } from "./source.ts";

const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}(?:-.*)?$/;

/** A boxed error, because anything can be thrown. */
export type Failure = { readonly error: unknown };

/**
 * One request and its scope. The scope ends once: when nothing of the request runs any more and the response is over,
 * whether it was sent, aborted, hijacked or never came.
 *
 * Of all events of Fastify only `close` of the raw response comes in every one of these cases; it can come before the
 * handler has ended, so both are waited for.
 */
export class Visit extends TimerEntry implements RequestContext {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly requestId: string;
  readonly #entrance: Entrance;
  #scope: FrameworkScope | undefined = undefined;
  #failure: Failure | undefined = undefined;
  /** Set when the client has gone: no failure of the handler, which may still succeed. */
  #gone: Failure | undefined = undefined;
  /** Inputs that were read for a later part of the request. */
  #inputs: Map<AnyDefinition, unknown> | undefined = undefined;
  #background: Background | undefined = undefined;
  #tasks: Task[] | undefined = undefined;
  #abort: AbortController | undefined = undefined;
  /** Handlers and hooks of this request that run now. */
  #running = 0;
  /** What was resolved last, where that is not all that the scope was opened for. */
  values: unknown = undefined;
  #watched = false;
  /** True once the request has become a WebSocket: its end is then no accident. */
  #upgraded = false;
  #over = false;
  #ended = false;

  constructor(entrance: Entrance, request: FastifyRequest, reply: FastifyReply, timeoutMs: number) {
    super();
    this.#entrance = entrance;
    this.request = request;
    this.reply = reply;
    this.requestId = request.id;
    if (timeoutMs > 0) this.deadline = systemClock.now() + timeoutMs;
  }

  /** Aborts when the client has gone or the deadline has passed. Made when somebody asks for it. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      const ended = this.#failure ?? this.#gone;
      if (ended !== undefined) this.#abort.abort(ended.error);
      else if (this.deadline !== Number.POSITIVE_INFINITY && !this.#ended) timingWheelOf(systemClock).add(this);
      this.watch();
      this.#followScope();
    }
    return this.#abort.signal;
  }

  /** The container gives up scopes that do not end when it stops. */
  #followScope(): void {
    const [scope, abort] = [this.#scope, this.#abort];
    if (scope === undefined || abort === undefined || this.#ended) return;
    scope.signal.addEventListener("abort", () => {
      if (scope.isOpen) abort.abort(scope.signal.reason);
    });
  }

  /** The span that the request belongs to, where its caller tells one. */
  get traceContext(): string | undefined {
    const given = this.request.headers["traceparent"];
    return typeof given === "string" && TRACEPARENT.test(given) ? given : undefined;
  }

  /** Work for after the response. */
  get background(): Background {
    return (this.#background ??= new Background({ queue: (task) => this.#queue(task) }));
  }

  /** The scope, once it is open. */
  get scope(): FrameworkScope | undefined {
    return this.#scope;
  }

  /** The values of the needs that were resolved last. */
  get resolved(): unknown {
    return this.values ?? this.#scope?.result;
  }

  get isOpen(): boolean {
    return !this.#ended;
  }

  /** Takes a scope that was opened for this request. */
  enter(scope: FrameworkScope): FrameworkScope {
    this.#entrance.opened();
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

  /** A handler or a hook begins. */
  begin(): void {
    this.#running++;
  }

  /** A handler or a hook has ended. */
  end(): void {
    if (--this.#running === 0 && this.#over) this.#finish();
  }

  /** Ends at once where nothing has to be undone and nothing of the reply can still need the scope. */
  endAtOnce(): boolean {
    const scope = this.#scope;
    if (this.#ended) return true;
    if (this.#running > 0 || this.#tasks !== undefined || scope?.endsAtOnce !== true) return false;
    this.#close();
    scope.endAtOnce();
    return true;
  }

  /** Learns of the end of the response. */
  watch(): void {
    if (this.#watched) return;
    this.#watched = true;
    const { raw } = this.reply;
    if (raw.destroyed) this.#responseOver();
    else raw.on("close", () => this.#responseOver());
  }

  /** The request has become a WebSocket. */
  upgraded(): void {
    this.#upgraded = true;
  }

  /** The WebSocket is closed. */
  disconnected(): void {
    this.#responseOver();
  }

  /** Something failed besides the handler: Fastify's own timeout, a serializer, a hook, a stream. */
  note(error: unknown): void {
    this.#failure ??= { error };
    this.#scope?.abort(error);
    this.#abort?.abort(error);
  }

  /** What failed so far. */
  get failure(): Failure | undefined {
    return this.#failure;
  }

  /** The handler, or a hook, has failed: unwinds everything, so that dependencies see the error before the error handler does. */
  async fail(error: unknown): Promise<never> {
    const first = (this.#failure ??= { error });
    if (this.#tasks !== undefined) this.#entrance.forget(this.#tasks);
    this.#tasks = undefined;
    const scope = this.#scope;
    if (scope !== undefined && !this.#ended) {
      this.#close();
      await scope.close(first); // throws what cleanup made of the error
    }
    throw error;
  }

  /** The deadline has passed. */
  override expire(): void {
    this.#abort?.abort(new StewardError("DEADLINE_EXCEEDED", `the request took longer than its deadline`));
  }

  #responseOver(): void {
    if (this.#over) return;
    this.#over = true;
    if (!this.reply.raw.writableEnded && this.#failure === undefined) this.#leftAlone();
    if (this.#running === 0) this.#finish();
  }

  #leftAlone(): void {
    const error = new StewardError("CALL_ABORTED", "the client has gone before the response was complete");
    if (!this.#upgraded) this.#gone = { error };
    this.#scope?.abort(error);
    this.#abort?.abort(error);
  }

  #finish(): void {
    if (this.#ended) return;
    const scope = this.#scope;
    if (this.#tasks !== undefined) return void this.#entrance.track(this.#afterwards(() => this.#leave()));
    this.#close();
    if (scope?.endsAtOnce === true) scope.endAtOnce();
    else if (scope !== undefined) this.#entrance.track(this.#afterwards(() => this.#release(scope)));
  }

  #afterwards(work: () => Promise<void>): Promise<void> {
    return this.#entrance.afterwards(this.requestId, work);
  }

  #close(): void {
    this.#ended = true;
    if (this.#abort !== undefined) timingWheelOf(systemClock).remove(this);
    if (this.#scope !== undefined) this.#entrance.closed();
  }

  async #leave(): Promise<void> {
    await this.#runTasks();
    this.#close();
    if (this.#scope !== undefined) await this.#release(this.#scope);
    await this.#runTasks(); // what cleanup has added
  }

  async #release(scope: FrameworkScope): Promise<void> {
    try {
      await scope.close(this.#failure ?? this.#gone);
    } catch (error) {
      if (error !== (this.#failure ?? this.#gone)?.error)
        this.request.log.error({ err: error }, "what the request used was not released cleanly");
    }
    if (this.#tasks !== undefined) await this.#runTasks();
  }

  #queue(task: Task): void {
    (this.#tasks ??= []).push(task);
    this.#entrance.taskQueued(task);
    this.watch();
  }

  /** Runs tasks in order. One that fails stops none of the others; the request's resources see its error. */
  async #runTasks(): Promise<void> {
    for (let tasks = this.#tasks; tasks !== undefined && tasks.length > 0; tasks = this.#tasks) {
      this.#tasks = undefined;
      for (const task of tasks) await this.#runTask(task);
    }
  }

  async #runTask(task: Task): Promise<void> {
    try {
      await this.#entrance.runTask(task);
    } catch (error) {
      this.#failure ??= { error };
      this.request.log.error({ err: error, task: task.name }, "a background task failed");
    }
  }
}

/** The error for requests that come before everything is up. */
export function notStarted(): StewardError {
  return new StewardError("RESOURCE_UNAVAILABLE", "the app is starting", { retryable: true, retryAfterMs: 1_000 });
}

/** The error for handlers on an app without the plugin. */
export function notRegistered(): StewardError {
  return fastifyError(
    "NOT_REGISTERED",
    "an injected handler needs the steward plugin: await app.register(steward, { container }) before the routes",
  );
}

/** The error for WebSocket routes that the plugin did not get to see. */
export function notSeen(): StewardError {
  return fastifyError(
    "NOT_REGISTERED",
    "register the steward plugin before @fastify/websocket: it has to see the routes first",
  );
}

/** The error for routes that were added before the plugin had loaded. */
export function tooEarly(): StewardError {
  return fastifyError(
    "NOT_REGISTERED",
    "this route was added before the steward plugin had loaded: await app.register(steward, ...) first, or add routes in a plugin behind it",
  );
}
