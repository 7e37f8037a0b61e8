import type { Guard, MetricSample } from "@steward/core";
import {
  aborted,
  Manager,
  defineDriver,
  checkOptions,
  type DriverFactory,
  type ManagerContext,
  type PassiveEvidence,
} from "@steward/core/driver";
import type { buildConnector } from "undici";
import { BorrowedConnections } from "./connections/borrowed.ts";
import type { Connections } from "./connections/connection.ts";
import { connector } from "./connections/connector.ts";
import { ConnectionPool } from "./connections/pool.ts";
import { DefaultHeaders } from "./exchange/headers.ts";
import { SessionRequests } from "./exchange/requests.ts";
import { ask, askFailing, statusOf } from "./health.ts";
import {
  httpSchema,
  tlsSchema,
  type CheckedHttpOptions,
  type HttpSessionOptions,
  type HttpTlsOptions,
} from "./options.ts";
import type { OriginStats } from "./session/origin.ts";
import { NOTHING, Origins, type OriginsSettings } from "./session/origins.ts";
import { PastSeries } from "./session/past.ts";
import { HttpSession } from "./session/session.ts";

/** Calls that share an HTTP/2 connection at most. */
const STREAMS = 100;

/** A body may wait this long for its reader while we drain or stop, in ms; then its connection is taken back. */
const READER_GRACE_MS = 250;

/**
 * Looks after a shared HTTP session: connections per origin, deadlines, retries, drain and stop.
 *
 * @example
 * ```ts
 * import { HttpSessionManager } from "@steward/http";
 * await using http = await new HttpSessionManager({ maxConnections: 20, timeoutMs: 5_000 }).start();
 * console.log(http.stats()["inUse"]); // => 0
 * ```
 */
export class HttpSessionManager extends Manager<HttpSession> {
  readonly #options: CheckedHttpOptions;
  readonly #session: HttpSession;
  #origins: Origins | undefined;
  #connect: buildConnector.connector | undefined;
  #unread = false;
  /** Sums of earlier runs. */
  #past: OriginStats = NOTHING;
  readonly #pastSeries = new PastSeries();
  readonly #requests = new SessionRequests();

  /** @throws {OPTIONS_INVALID} listing every problem. */
  constructor(options: HttpSessionOptions = {}, context: ManagerContext = {}) {
    super("http", context);
    this.#options = checkOptions(this.name, httpSchema, options);
    const { baseUrl, headers, userAgent, interceptors, interceptorOptions, maxResponseBytes, timeoutMs } =
      this.#options;
    this.#session = new HttpSession({
      resource: this.name,
      baseUrl,
      headers: new DefaultHeaders(headers, userAgent),
      interceptors,
      interceptorOptions,
      maxResponseBytes,
      timeoutMs,
      origins: () => (this.phase === "ready" ? this.#origins : undefined),
      refusal: () => this.refusal(),
      watchful: () => this.#unread,
    });
  }

  get client(): HttpSession {
    return this.#session;
  }

  protected override async onStart(signal: AbortSignal): Promise<void> {
    await this.#reconnect();
    if (!signal.aborted) this.#origins = this.#makeOrigins();
  }

  async #reconnect(): Promise<void> {
    const { client, tls, connectTimeoutMs, http2, privateAddresses, allowedAddresses, proxy } = this.#options;
    if (client !== undefined) return;
    const certificates = typeof tls === "function" ? checkOptions(this.name, tlsSchema, await tls()) : (tls ?? {});
    this.#connect = connector({
      resource: this.name,
      connectTimeoutMs,
      http2,
      tls: certificates as HttpTlsOptions,
      privateAddresses,
      allowedAddresses,
      proxy,
    });
  }

  #makeOrigins(): Origins {
    const {
      maxConnections,
      http2,
      baseUrl,
      authorization,
      retry,
      breaker = {},
      maxPending,
      maxOrigins,
      allowedOrigins,
      client,
    } = this.#options;
    const baseOrigin = baseUrl === undefined ? undefined : new URL(baseUrl).origin;
    const settings: OriginsSettings = {
      basis: this.guardBasis(),
      limits: this.#options,
      retry: retry === false ? undefined : retry,
      maxConcurrent: maxConnections * (http2 && client === undefined ? STREAMS : 1),
      maxPending,
      breaker,
      maxOrigins,
      allowedOrigins,
      baseOrigin,
      ask: (origin, signal) => this.#askOrigin(origin, signal),
      connections: (origin) => this.#connections(origin),
      authorization: (origin) => (origin === baseOrigin ? authorization : undefined),
      plaintext: this.#options.plaintext,
      leaked: () => (this.#unread = true),
      requests: this.#requests,
      forgotten: (origin) => this.#pastSeries.add(origin.guard.metrics({ resource: this.name })),
    };
    return new Origins(settings, this.#past);
  }

  #connections(origin: string): Connections {
    const { client, http2, maxConnections, idleConnectionTimeoutMs, idleTimeoutMs, timeoutMs } = this.#options;
    if (client !== undefined) return new BorrowedConnections(client);
    if (this.#connect === undefined) throw this.refusal();
    const streams = http2 && origin.startsWith("https:") ? STREAMS : 1;
    return new ConnectionPool({
      origin,
      clock: this.clock,
      connect: this.#connect,
      streams,
      maxConnections,
      idleConnectionTimeoutMs,
      idleTimeoutMs,
      timeoutMs,
      announce: (event, url, targets, error) => {
        const session = this.#session;
        session.emit(event as "disconnect", url, [session, ...targets], error as never); // an error where there is one
      },
    });
  }

  protected override async onProbe(signal: AbortSignal): Promise<void> {
    const { probeUrl, client } = this.#options;
    const way = client ?? this.#connect;
    if (probeUrl !== undefined && way !== undefined) await ask(this.name, probeUrl, way, signal);
    else if (this.#origins !== undefined) await askFailing(this.name, this.#origins, signal);
  }

  /** Any answer of an origin is a sign of life. */
  async #askOrigin(origin: string, signal: AbortSignal): Promise<void> {
    const { probeUrl, client } = this.#options;
    const way = client ?? this.#connect;
    if (way === undefined) throw this.refusal();
    const isProbed = probeUrl !== undefined && new URL(probeUrl).origin === origin;
    await statusOf(isProbed ? "GET" : "HEAD", isProbed ? probeUrl : `${origin}/`, way, signal);
  }

  /** Waits for calls in flight to their last byte; a body that is not read does not count. */
  protected override async onDrain(signal: AbortSignal): Promise<void> {
    const origins = this.#origins;
    if (origins === undefined) return;
    const sweep = this.#sweep(origins, signal);
    await origins.idle();
    sweep.cancel();
  }

  #sweep(origins: Origins, signal: AbortSignal): { cancel(): void } {
    let timer: { cancel(): void } = { cancel() {} };
    const turn = (): void => {
      if (signal.aborted) return;
      for (const origin of origins) origin.takeBackUnread(READER_GRACE_MS);
      timer = this.clock.setTimeout(turn, READER_GRACE_MS, { unref: true });
    };
    turn();
    return { cancel: () => timer.cancel() };
  }

  /** Lets what runs finish until `signal` aborts, then ends it: every call hears of it, every socket is closed. */
  protected override async onStop(signal: AbortSignal): Promise<void> {
    const origins = this.#origins;
    if (origins === undefined) return;
    for (const origin of origins) origin.guard.rejectPending(this.refusal());
    const sweep = this.#sweep(origins, signal);
    await Promise.race([origins.idle(), aborted(signal)]);
    sweep.cancel();
    await origins.destroy(this.interruption());
    this.#past = origins.stats().totals;
    this.#origins = undefined;
  }

  /** Makes new connections, with certificates asked for anew; calls in flight finish on the old ones. */
  protected override async replace(): Promise<void> {
    await this.#reconnect();
    for (const origin of this.#origins ?? []) origin.renew();
  }

  /** The guards of all origins. */
  protected override *guards(): Iterable<Guard> {
    for (const origin of this.#origins ?? []) yield origin.guard;
  }

  /** Where the probe asks a URL, only calls of that origin can stand in for it. */
  override get passive(): PassiveEvidence {
    const { probeUrl } = this.#options;
    if (probeUrl === undefined) return super.passive;
    const lastSuccessAt = this.#origins?.known(new URL(probeUrl).origin)?.guard.lastSuccessAt;
    return { ...super.passive, lastSuccessAt: lastSuccessAt ?? Number.NEGATIVE_INFINITY };
  }

  protected override *series(attributes: Readonly<Record<string, string>>): Iterable<MetricSample> {
    for (const origin of this.#origins ?? []) yield* origin.series(attributes, this.#options.client === undefined);
    yield* this.#requests.series(attributes);
    yield* this.#pastSeries;
  }

  protected override measure(): Readonly<Record<string, unknown>> {
    const { totals, origins } = this.#origins?.stats() ?? { totals: this.#past, origins: Object.freeze({}) };
    return { ...totals, origins };
  }
}

/**
 * Defines a shared HTTP session.
 *
 * @example
 * ```ts
 * import { httpSession } from "@steward/http";
 * const http = httpSession("http", { maxConnections: 100, timeoutMs: 30_000 });
 * console.log(http.name); // => http
 * ```
 */
export const httpSession: DriverFactory<HttpSessionOptions, HttpSession> = defineDriver({
  kind: "http",
  schema: httpSchema,
  create: (options, context) => new HttpSessionManager(options, context),
  inherit: ({ timeoutMs, retry, breaker }) => ({ timeoutMs, retry, breaker }),
  settings: { readiness: "startup", tags: ["http"] },
});
