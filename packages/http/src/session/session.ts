import type { StewardError } from "@steward/core";
import { notForUsers, type Rule } from "@steward/core/driver";
import { Dispatcher, errors, type Agent } from "undici";
import { Exchange } from "../exchange/exchange.ts";
import type { HttpCallOptions, HttpDispatchOptions } from "../exchange/lane.ts";
import { asRaw } from "../exchange/handlers.ts";
import { checkDispatch, checkRequest, repeatable, requestShape, type HttpRequestOptions } from "./call-options.ts";
import type { DefaultHeaders } from "../exchange/headers.ts";
import type { Origin, OriginStats } from "./origin.ts";
import type { Origins } from "./origins.ts";
import { targetOf } from "./target.ts";

/** What a session asks of its manager. */
export interface SessionWiring {
  readonly resource: string;
  readonly baseUrl: string | undefined;
  readonly headers: DefaultHeaders;
  readonly interceptors: readonly Dispatcher.DispatcherComposeInterceptor[];
  /** Largest body, as sent and, in `fetch`, once decoded; in bytes. */
  readonly maxResponseBytes: number | undefined;
  /** Longest call, in ms. */
  readonly timeoutMs: number;
  /** Options of calls that interceptors take. */
  readonly interceptorOptions: readonly string[];
  /** `undefined` while the manager is not started. */
  origins(): Origins | undefined;
  refusal(): StewardError;
  /** True once a body was left unread: from then on calls remember where they were made. */
  watchful(): boolean;
}

/** Sessions by what `compose` made of them: proxies, which have no private members. */
const composed = new WeakMap<object, HttpSession>();

type Answer<TOpaque> = Dispatcher.ResponseData<TOpaque>;
type Callback<TOpaque> = (error: Error | null, data: Answer<TOpaque>) => void;

/**
 * A shared HTTP session: a real undici `Dispatcher`, looked after.
 *
 * It has undici's `request`, `stream`, `pipeline`, `connect` and `upgrade`, stands as `dispatcher` wherever undici
 * takes one, and adds `request(url)`. Everything passes the guard of its origin: a place in a bounded
 * queue, one deadline for all, retries where they are safe.
 */
export class HttpSession extends Dispatcher {
  readonly #wiring: SessionWiring;
  readonly #shape: Rule;
  readonly #base: { readonly href: string; readonly origin: string } | undefined;
  readonly #outermost: Dispatcher | undefined;

  /** @internal Sessions are made by their manager. */
  constructor(wiring: SessionWiring) {
    super();
    this.#wiring = wiring;
    const { baseUrl, interceptors } = wiring;
    this.#shape = requestShape(wiring.interceptorOptions);
    this.#base = baseUrl === undefined ? undefined : new URL(baseUrl);
    // undici puts the last one outermost; ours reads in the order in which a call meets them.
    if (interceptors.length > 0)
      this.#outermost = new Inner((options, handler) => this.#admit(options, handler)).compose(
        [...interceptors].reverse(),
      );
  }

  /** @internal */
  get forFetch(): Pick<SessionWiring, "resource" | "baseUrl" | "maxResponseBytes" | "timeoutMs"> {
    return this.#wiring;
  }

  override dispatch(options: HttpDispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (this.#outermost === undefined) return this.#admit(options, handler);
    let given: HttpDispatchOptions;
    try {
      given = repeatable(this.#wiring.resource, options); // interceptors may look at headers, too
    } catch (error) {
      asRaw(handler).onError(error as Error); // as where there are none
      return true;
    }
    return this.#outermost.dispatch(given, handler);
  }

  /** Always takes the call: what there is no place for waits, and what must not wait is refused through its handler. */
  #admit(given: HttpDispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (typeof handler !== "object" || handler === null)
      throw new errors.InvalidArgumentError("handler must be an object");
    const raw = asRaw(handler);
    let origin: Origin;
    let options: HttpDispatchOptions;
    try {
      checkDispatch(this.#wiring.resource, given);
      options = repeatable(this.#wiring.resource, given);
      origin = this.#origin(options);
      origin.demandSecrecy(options.headers);
    } catch (error) {
      raw.onError(error as Error); // whatever refuses a call is an Error
      return true;
    }
    const stack = this.#wiring.watchful() ? callerStack() : undefined;
    const exchange = new Exchange(origin, this.#prepared(options, origin), raw, stack);
    const { signal } = options;
    const timeoutMs = exchange.replyBoundMs;
    if (timeoutMs === undefined && !(signal instanceof AbortSignal)) origin.guard.enter(exchange);
    else origin.guard.enter(exchange, { timeoutMs, signal: signal instanceof AbortSignal ? signal : undefined });
    return true;
  }

  #origin(options: HttpDispatchOptions): Origin {
    const origins = this.#wiring.origins();
    if (origins === undefined) throw this.#wiring.refusal();
    return origins.of(options.origin);
  }

  #prepared(options: HttpDispatchOptions, origin: Origin): HttpDispatchOptions {
    const headers = this.#wiring.headers.merge(options.headers);
    if (headers === options.headers && options.origin !== undefined) return options;
    return { ...options, origin: origin.origin, headers: headers ?? null };
  }

  override request<TOpaque = null>(
    options: Dispatcher.RequestOptions<TOpaque> & HttpCallOptions,
    callback: Callback<TOpaque>,
  ): void;
  override request<TOpaque = null>(
    options: Dispatcher.RequestOptions<TOpaque> & HttpCallOptions,
  ): Promise<Answer<TOpaque>>;
  /** One request by URL, or by a path below `baseUrl`. The method is GET unless given. */
  override request<TOpaque = null>(url: string | URL, options?: HttpRequestOptions<TOpaque>): Promise<Answer<TOpaque>>;
  override request<TOpaque = null>(
    target: string | URL | (Dispatcher.RequestOptions<TOpaque> & HttpCallOptions),
    second?: HttpRequestOptions<TOpaque> | Callback<TOpaque>,
  ): Promise<Answer<TOpaque>> | void {
    if (typeof second === "function") return super.request(target as Dispatcher.RequestOptions<TOpaque>, second); // a callback comes with options
    const session = composed.get(this) ?? this;
    try {
      if (typeof target !== "string" && !(target instanceof URL))
        return super.request(HttpSession.#checked(session, target));
      const options = HttpSession.#checked(session, second);
      return super.request({ ...options, method: options?.method ?? "GET", ...session.#locate(target) });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  override compose(
    first: Dispatcher.DispatcherComposeInterceptor | Dispatcher.DispatcherComposeInterceptor[],
    ...more: Dispatcher.DispatcherComposeInterceptor[]
  ): Dispatcher.ComposedDispatcher {
    const made = super.compose(...(Array.isArray(first) ? first : [first, ...more]));
    composed.set(made, composed.get(this) ?? this);
    return made;
  }

  static #checked<T extends object | undefined>(session: HttpSession, options: T): T {
    const { resource } = session.#wiring;
    checkRequest(resource, session.#shape, options);
    return options === undefined ? options : repeatable(resource, options);
  }

  #locate(target: string | URL): { origin: string; path: string } {
    const base = this.#base;
    if (base !== undefined && typeof target === "string" && PLAIN_PATH.test(target))
      return { origin: base.origin, path: target };
    const { origin, pathname, search } = targetOf(this.#wiring.resource, target, base?.href);
    return { origin, path: pathname + search };
  }

  override stream<TOpaque = null>(
    options: Dispatcher.RequestOptions<TOpaque>,
    factory: Dispatcher.StreamFactory<TOpaque>,
  ): Promise<Dispatcher.StreamData<TOpaque>>;
  override stream<TOpaque = null>(
    options: Dispatcher.RequestOptions<TOpaque>,
    factory: Dispatcher.StreamFactory<TOpaque>,
    callback: (error: Error | null, data: Dispatcher.StreamData<TOpaque>) => void,
  ): void;
  override stream<TOpaque = null>(
    options: Dispatcher.RequestOptions<TOpaque>,
    factory: Dispatcher.StreamFactory<TOpaque>,
    callback?: (error: Error | null, data: Dispatcher.StreamData<TOpaque>) => void,
  ): Promise<Dispatcher.StreamData<TOpaque>> | void {
    try {
      const streaming = { streaming: true, ...HttpSession.#checked(composed.get(this) ?? this, options) };
      return callback === undefined ? super.stream(streaming, factory) : super.stream(streaming, factory, callback);
    } catch (error) {
      if (callback === undefined) return Promise.reject(error);
      queueMicrotask(() => callback(error as Error, { opaque: options?.opaque as TOpaque, trailers: {} })); // what is wrong with options is an Error
    }
  }

  override pipeline<TOpaque = null>(
    options: Dispatcher.PipelineOptions<TOpaque>,
    handler: Dispatcher.PipelineHandler<TOpaque>,
  ): ReturnType<Dispatcher["pipeline"]> {
    return super.pipeline(
      {
        streaming: true,
        ...HttpSession.#checked(composed.get(this) ?? this, options),
      } as Dispatcher.PipelineOptions<TOpaque>,
      handler,
    ); // with our option added
  }

  /** `false`: calls are refused while its manager is not ready, and it is used again after the next start. */
  get closed(): boolean {
    return false;
  }

  /** `false`, as {@link closed}. */
  get destroyed(): boolean {
    return false;
  }

  /** undici's numbers of the connections and calls of each origin. */
  get stats(): Agent["stats"] {
    const { origins = {} } = this.#wiring.origins()?.stats() ?? {};
    return Object.fromEntries(Object.entries(origins).map(([origin, stats]) => [origin, asPoolStats(stats)]));
  }

  /**
   * Refuses: a session is shared, and its manager stops it.
   * @throws {LIFECYCLE_CONFLICT} always.
   */
  override close(callback?: () => void): Promise<void> {
    return this.#refuse("close", callback);
  }

  /**
   * Refuses, as {@link close} does.
   * @throws {LIFECYCLE_CONFLICT} always.
   */
  override destroy(_error?: Error | null | (() => void), callback?: () => void): Promise<void> {
    return this.#refuse("destroy", callback);
  }

  #refuse(verb: string, callback: ((error: Error) => void) | undefined): Promise<void> {
    const error = notForUsers(this.#wiring.resource, verb);
    if (typeof callback === "function") queueMicrotask(() => callback(error));
    else return Promise.reject(error);
    return Promise.resolve();
  }
}

/** As undici counts them: what waits here has no connection yet, so it is queued, and nothing is pending on one. */
function asPoolStats({ size, idle, pending, inUse }: OriginStats): Agent["stats"][string] {
  return { connected: size, free: idle, pending: 0, queued: pending, running: inUse, size: inUse + pending };
}

/** Paths that `new URL` would leave as they are. */
const PLAIN_PATH = /^\/(?![/\\])(?!.*\/\.)[\w\-/.~!$&'()*+,;=:@%?]*$/;

/** The inside of the user's interceptors. */
class Inner extends Dispatcher {
  readonly #dispatch: Dispatcher.Dispatch;

  constructor(dispatch: Dispatcher.Dispatch) {
    super();
    this.#dispatch = dispatch;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return this.#dispatch(options, handler);
  }
}

function callerStack(): string {
  const { stack = "" } = new Error("the call");
  const ours = /[\\/](?:undici|@steward[\\/]http|packages[\\/]http[\\/](?:src|dist))[\\/]/;
  return stack
    .split("\n")
    .slice(1)
    .filter((line) => !ours.test(line))
    .join("\n");
}
