import type { Duplex } from "node:stream";
import { channel } from "node:diagnostics_channel";
import {
  Guard,
  isStewardError,
  StewardError,
  type BreakerOptions,
  type Clock,
  type RetryOptions,
  type MetricSample,
  type Secret,
} from "@steward/core";
import { timingWheelOf, type TimingWheel, type GuardBasis, type Verdict } from "@steward/core/driver";
import type { Connection, Connections } from "../connections/connection.ts";
import { isUnconnected } from "../connections/unconnected.ts";
import { hasHeader, isOverheard, type GivenHeaders } from "../exchange/headers.ts";
import type { Lane, Limits, WaitingBody } from "../exchange/lane.ts";
import type { RequestDurations, SessionRequests } from "../exchange/requests.ts";
import { BadStatus, isRetryable, isTransient, type RetrySettings } from "../exchange/retry.ts";
import { pathOnly } from "../exchange/unread-body.ts";

/** Names of the `node:diagnostics_channel` channels of this package. */
export const HTTP_CHANNELS = {
  /** A connection was taken back from a body that was not read: {@link UnreadBodyEvent}. */
  unreadBody: "steward:http:unread-body",
} as const;

/** A connection was taken back from a body that was not read. */
export interface UnreadBodyEvent {
  readonly resource: string;
  readonly origin: string;
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  readonly unreadMs: number;
  /** Where the call was made. Known from the second leak of a session on: until then, calls are not burdened with it. */
  readonly stack: string | undefined;
}

const CREDENTIALS = ["authorization", "proxy-authorization"];

const unreadBody = channel(HTTP_CHANNELS.unreadBody);

/** What all origins of a session share. */
export interface OriginSettings {
  readonly basis: GuardBasis;
  readonly limits: Limits;
  readonly retry: RetrySettings | undefined;
  readonly maxConcurrent: number;
  readonly maxPending: number;
  readonly breaker: BreakerOptions | false;
  /** Asks an origin for a sign of life, on a connection of its own. */
  readonly ask: (origin: string, signal: AbortSignal) => Promise<void>;
  readonly requests: SessionRequests;
  readonly connections: (origin: string) => Connections;
  readonly authorization: (origin: string) => Secret | undefined;
  /** Whether credentials may go to other machines in plain text. */
  readonly plaintext: boolean;
  /** Called for every body that was left unread. */
  readonly leaked: () => void;
}

/** Numbers of one origin. `started = succeeded + failed + inUse`. */
export interface OriginStats {
  /** Open connections. */
  readonly size: number;
  /** Open connections that carry nothing now. */
  readonly idle: number;
  /** Most calls that may run at once. */
  readonly max: number;
  /** Calls that run, bodies that are being read included. */
  readonly inUse: number;
  /** Calls that wait for a place. */
  readonly pending: number;
  readonly started: number;
  readonly succeeded: number;
  /** Those that failed, and answers with one of `failureStatuses`. */
  readonly failed: number;
  /** Refused because the queue was full. */
  readonly overloaded: number;
  /** Ran into their deadline, queued or running. */
  readonly timedOut: number;
  /** Attempts behind the first. */
  readonly retried: number;
  /** Calls refused because the circuit was open. */
  readonly refused: number;
  /** Connections that were given up because a call on them, or on a sibling, got no answer. */
  readonly retired: number;
  /** Bodies whose connection was taken back because they were not read. */
  readonly unread: number;
}

/** One origin: its guard, its connections, and how it has been doing. */
export class Origin implements Lane {
  readonly origin: string;
  readonly guard: Guard;
  readonly wheel: TimingWheel;
  readonly authorization: Secret | undefined;
  readonly requests: RequestDurations;
  readonly paused: Set<WaitingBody> = new Set<WaitingBody>();
  readonly upgraded: Set<Duplex> = new Set<Duplex>();
  /** Anybody on the path reads what goes there, and that was not allowed. */
  readonly #isOverheard: boolean;
  closed = false;
  readonly #settings: OriginSettings;
  #connections: Connections;
  readonly #old = new Set<Connections>();
  #unread = 0;
  #pastRetired = 0;
  #trouble: { readonly at: number } | undefined;

  constructor(origin: string, settings: OriginSettings) {
    this.origin = origin;
    this.#settings = settings;
    this.wheel = timingWheelOf(settings.basis.clock);
    this.authorization = settings.authorization(origin);
    this.requests = settings.requests.of(origin);
    this.#connections = settings.connections(origin);
    this.#isOverheard = !settings.plaintext && isOverheard(origin);
    const { basis, maxConcurrent, maxPending, limits, retry, breaker } = settings;
    const { timeoutMs } = limits;
    this.guard = new Guard({
      ...basis,
      subject: `${basis.resource} ${origin}`,
      maxConcurrent,
      maxPending,
      timeoutMs,
      retry: retry === undefined ? undefined : ofGuard(retry),
      breaker,
      isRetryable,
      judge: (error) => this.#judge(error),
      ask: (signal) => this.#askForCalls(signal),
    });
  }

  get resource(): string {
    return this.#settings.basis.resource;
  }

  get clock(): Clock {
    return this.#settings.basis.clock;
  }

  get limits(): Limits {
    return this.#settings.limits;
  }

  get retry(): RetrySettings | undefined {
    return this.#settings.retry;
  }

  /**
   * Refuses to send credentials in plain text to another machine.
   * @throws {HTTP_PLAINTEXT_REFUSED}
   */
  demandSecrecy(headers: GivenHeaders): void {
    if (!this.#isOverheard) return;
    const name = CREDENTIALS.find((one) => hasHeader(headers, one));
    if (name === undefined) return;
    const message = `${this.resource}: ${name} would go to ${this.origin} in plain text; use https:, or allow it with plaintext: true`;
    throw new StewardError("HTTP_PLAINTEXT_REFUSED", message, { resource: this.resource });
  }

  connection(): Connection {
    if (this.closed)
      throw new StewardError("RESOURCE_UNAVAILABLE", `${this.resource}: stopped`, { resource: this.resource });
    return this.#connections.take();
  }

  answered(status: number): BadStatus | undefined {
    this.#trouble = undefined;
    if (!this.limits.failureStatuses.includes(status)) return undefined;
    const complaint = new BadStatus(this.origin, status);
    this.failed(complaint);
    return complaint;
  }

  failed(error: unknown): void {
    if (this.#judge(error) !== "none") this.#trouble = { at: this.clock.now() };
  }

  /** What the origin is to blame for. A caller who aborts, or a request that is wrong, says nothing about it. */
  #judge(error: unknown): Verdict {
    if (error instanceof BadStatus) return this.limits.failureStatuses.includes(error.status) ? "degraded" : "none";
    const isDown = isTransient(error) || isUnconnected(error) || isStewardError(error, "DEADLINE_EXCEEDED");
    return isDown ? "failure" : "none";
  }

  /** Asks it for a sign of life. */
  ask(signal: AbortSignal): Promise<void> {
    return this.#settings.ask(this.origin, signal);
  }

  /** It answers on a new connection while calls get no answer: new calls take new ones too, in case the old ones are dead. */
  async #askForCalls(signal: AbortSignal): Promise<void> {
    await this.ask(signal);
    this.renew();
  }

  leaked(body: WaitingBody): void {
    this.#unread++;
    this.#settings.leaked();
    if (!unreadBody.hasSubscribers) return;
    const { method, path } = body.options;
    const unreadMs = this.clock.now() - body.pausedSince;
    unreadBody.publish({
      resource: this.resource,
      origin: this.origin,
      method,
      path: pathOnly(path),
      unreadMs,
      stack: body.stack,
    } satisfies UnreadBodyEvent);
  }

  /** Whether calls speak against it: one failed within `withinMs` and no answer came after it, or they hang. */
  isFailing(withinMs: number): boolean {
    const { failing, isSuspect } = this.guard.evidence;
    const troubled = this.#trouble !== undefined && this.clock.now() - this.#trouble.at < withinMs;
    return troubled || failing !== "" || isSuspect;
  }

  /** True when nothing runs or waits here. */
  get unused(): boolean {
    return this.guard.isIdle;
  }

  /** New calls go over new connections; those in flight finish on the present ones. */
  renew(): void {
    const old = this.#connections;
    this.#connections = this.#settings.connections(this.origin);
    old.retire();
    this.#old.add(old);
    this.#prune();
  }

  #prune(): void {
    for (const connections of this.#old) {
      const { size, retired } = connections.stats();
      if (size > 0) continue;
      this.#old.delete(connections);
      this.#pastRetired += retired;
    }
  }

  /** Takes connections back from bodies that have waited for a reader for `olderThanMs`. */
  takeBackUnread(olderThanMs: number): void {
    const now = this.clock.now();
    for (const body of this.paused) if (now - body.pausedSince >= olderThanMs) body.takeBack();
  }

  /** What it does now, as series. Where connections are the user's own affair, there is nothing to report of them. */
  *series(attributes: Readonly<Record<string, string>>, countsConnections: boolean): Iterable<MetricSample> {
    const own = { ...attributes, ...this.requests.server };
    const { inUse } = this.guard.stats();
    yield { name: "http.client.active_requests", kind: "gauge", unit: "{request}", attributes: own, value: inUse };
    if (!countsConnections) return;
    const { size, idle } = this.stats();
    const connections = (state: string, value: number): MetricSample => ({
      name: "http.client.open_connections",
      kind: "gauge",
      unit: "{connection}",
      attributes: { ...own, "http.connection.state": state },
      value,
    });
    yield connections("active", size - idle);
    yield connections("idle", idle);
  }

  async destroy(reason: Error): Promise<void> {
    this.closed = true;
    this.guard.rejectPending(reason);
    this.guard.stop();
    for (const socket of this.upgraded) socket.destroy();
    await Promise.all([this.#connections, ...this.#old].map((connections) => connections.destroy(reason)));
  }

  stats(): OriginStats {
    this.#prune();
    const present = this.#connections.stats();
    const all = [present, ...[...this.#old].map((connections) => connections.stats())];
    const { inUse, pending, started, succeeded, failed, overloaded, timedOut, retried, breaker } = this.guard.stats();
    return {
      size: all.reduce((sum, { size }) => sum + size, 0),
      idle: present.idle,
      max: this.#settings.maxConcurrent,
      inUse,
      pending,
      started,
      succeeded,
      failed,
      overloaded,
      timedOut,
      retried,
      refused: breaker?.refused ?? 0,
      retired: this.#pastRetired + all.reduce((sum, { retired }) => sum + retired, 0),
      unread: this.#unread,
    };
  }
}

/** What of it concerns the guard; which statuses are asked again is decided here. */
function ofGuard({ statuses: _statuses, ...retry }: RetrySettings): RetryOptions {
  return retry;
}
