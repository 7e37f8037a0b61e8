import type { Duplex } from "node:stream";
import { currentContext, isStewardError, type CallAbout, type StewardError } from "@steward/core";
import { GuardedUse } from "@steward/core/driver";
import type { Connection } from "../connections/connection.ts";
import { httpAbout } from "./about.ts";
import { placeOf, reveal } from "./authorization.ts";
import { declaredTooLarge, gaveUp, noReply, reasonOf, tooLarge } from "./failures.ts";
import type { RawHandler } from "./handlers.ts";
import { add, hasHeader } from "./headers.ts";
import type { HttpDispatchOptions, Lane } from "./lane.ts";
import { ReplyTimer } from "./reply-timer.ts";
import { BadStatus, isRepeatable, isTransient, maySendTwice, retryAfterMs } from "./retry.ts";
import { UnreadBody } from "./unread-body.ts";

/** A wait for less than this, or than half the timeout, says nothing about the connection: the caller was in a hurry. */
const SUSPICIOUS_MS = 1_000;

/** Most of an answer that is run out unseen before another attempt, in bytes. */
const MAX_SWALLOWED_BYTES = 65_536;

/**
 * One call on its way: through the guard, over a connection, once or several times, to the last byte of its body.
 *
 * It stands between undici's connection and the caller's handler. The handler learns of one attempt only: the one
 * whose headers it is given. It hears its end exactly once, whatever the connection does later.
 */
export class Exchange extends GuardedUse implements RawHandler {
  readonly #lane: Lane;
  readonly options: HttpDispatchOptions;
  readonly #handler: RawHandler;
  /** Where it was asked for, once a body of this session was left unread. */
  readonly stack: string | undefined;
  readonly #requestId: string | undefined;
  #place: ReturnType<typeof placeOf> = undefined;
  #connection: Connection | undefined = undefined;
  /** Where the last attempt went; it may still be queued there after it was given up. */
  #sentOn: Connection | undefined = undefined;
  #abort: ((error?: Error) => void) | undefined = undefined;
  #replyTimer: ReplyTimer | undefined = undefined;
  #unread: UnreadBody | undefined = undefined;
  #sent = 0;
  #answered = false;
  /** Pause before the next attempt, in ms, while the present answer runs out unseen; -1 when there is none. */
  #swallowed = -1;
  /** Longest call in all, in ms, where its caller has a nearer limit for the headers; -1 where not. */
  #inAllMs = -1;
  #outer = Number.POSITIVE_INFINITY;
  #status = 0;
  /** True once the duration of this attempt has been recorded. */
  #timed = false;
  #over = false;
  #bytes = 0;

  constructor(lane: Lane, options: HttpDispatchOptions, handler: RawHandler, stack: string | undefined) {
    super();
    this.#lane = lane;
    this.options = options;
    this.#handler = handler;
    this.stack = stack;
    this.#requestId = currentContext()?.requestId;
  }

  /** The caller's own limit for headers bounds the call until it has them, queue and retries included; in ms. */
  get replyBoundMs(): number | undefined {
    const { timeoutMs, headersTimeout } = this.options;
    if (typeof headersTimeout !== "number" || headersTimeout === 0) return timeoutMs;
    this.#outer = currentContext()?.deadline ?? Number.POSITIVE_INFINITY;
    this.#inAllMs = timeoutMs ?? this.#lane.limits.timeoutMs;
    return Math.min(headersTimeout, this.#inAllMs);
  }

  override waits(): void {
    this.#place = placeOf(this.#lane.authorization);
  }

  protected override begin(): void {
    const { authorization } = this.#lane;
    if (authorization === undefined || hasHeader(this.options.headers, "authorization")) return this.#send(undefined);
    const failed = (error: Error): void => this.onError(error);
    reveal(authorization, this.#place, (text) => this.#send(text), failed);
  }

  #send(authorization: string | undefined): void {
    if (this.#over) return;
    try {
      this.#connection = this.#sentOn = this.#lane.connection();
      const { propagate } = this.#lane.limits;
      const requestId = propagate ? this.#requestId : undefined;
      const traceparent = propagate ? this.traceContext : undefined;
      this.#connection.send(withHeaders(this.options, authorization, requestId, traceparent), this);
    } catch (error) {
      this.onError(error instanceof Error ? error : new Error(String(error)));
    }
  }

  override about(): CallAbout {
    const { method, path } = this.options;
    return httpAbout(this.#lane.origin, method, path, this.#status);
  }

  /** Called by the guard: refused, timed out, aborted; or by us, when the last attempt failed. */
  protected override giveUp(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    const reason = reasonOf(error, this.options);
    this.#time(error);
    if (this.#sent > 0 && !this.#answered && isStewardError(error, "DEADLINE_EXCEEDED")) this.#suspect(error);
    this.#letGo(reason);
    this.#handler.onError(reason);
  }

  #letGo(reason: Error): void {
    this.#disarm();
    const abort = this.#abort;
    this.#abort = undefined;
    abort?.(reason);
    this.#release();
  }

  #disarm(): void {
    if (this.#replyTimer !== undefined) this.#lane.wheel.remove(this.#replyTimer);
    this.#unread?.resume();
  }

  #release(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#sent = 0;
    connection?.release();
  }

  #broke(sent: boolean): void {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#sent = 0;
    connection?.broke(sent);
  }

  /** No answer for long: whatever swallowed this request may have swallowed its siblings' connections too. */
  #suspect(error: StewardError): void {
    const allowed = this.deadline - (this.startedAt ?? this.since);
    if (allowed < Math.min(SUSPICIOUS_MS, this.#lane.limits.timeoutMs / 2)) return;
    this.#connection?.suspect(this.#sent);
    this.#lane.failed(error);
  }

  /** @internal No headers within `headersTimeoutMs` of this attempt. */
  replyTimeout(waitedMs: number): void {
    const error = noReply(this.#lane, waitedMs);
    this.#connection?.suspect(this.#sent);
    const abort = this.#abort;
    if (abort !== undefined) abort(error);
    else this.onError(error);
  }

  onConnect(abort: (error?: Error) => void, context?: unknown): void {
    if (this.#over || this.#connection !== this.#sentOn) return this.#sentOn?.decline(abort);
    this.#abort = abort;
    this.#sent = this.#sentOn?.tick() ?? 1;
    this.#handler.onConnect((reason) => this.#abortedByCaller(reason), context);
  }

  #abortedByCaller(reason: Error | undefined): void {
    if (this.#over) return;
    this.#time("CALL_ABORTED"); // its reason can be anything
    this.fail(reason ?? gaveUp(this.#lane));
  }

  onBodySent(chunkSize: number, totalBytesSent: number): void {
    this.#handler.onBodySent?.(chunkSize, totalBytesSent);
  }

  onRequestSent(): void {
    this.#handler.onRequestSent?.();
    const { headersTimeoutMs } = this.#lane.limits;
    if (headersTimeoutMs === undefined || this.#answered || this.#over) return;
    this.#replyTimer ??= new ReplyTimer(this, headersTimeoutMs);
    this.#lane.wheel.remove(this.#replyTimer);
    this.#replyTimer.deadline = this.#lane.clock.now() + headersTimeoutMs;
    this.#lane.wheel.add(this.#replyTimer);
  }

  onResponseStarted(): void {
    this.#handler.onResponseStarted?.();
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void, statusText: string): boolean {
    if (this.#over) return true;
    this.#connection?.answered();
    if (status < 200) return this.#handler.onHeaders(status, headers, resume, statusText);
    if (this.#replyTimer !== undefined) this.#lane.wheel.remove(this.#replyTimer);
    this.#status = status;
    const complaint = this.#lane.answered(status);
    if (this.#lane.retry?.statuses.includes(status) === true && this.#claims(status, headers)) return true;
    this.#answered = true;
    const excess = declaredTooLarge(this.#lane, this.options.method, status, headers);
    if (excess !== undefined) {
      this.fail(excess);
      return true;
    }
    if (this.options.streaming === true) {
      this.#time(status);
      this.answered(Number.POSITIVE_INFINITY, complaint);
    } else this.answered(this.#until() - this.#lane.clock.now(), complaint);
    const resumed = (): void => {
      this.#unread?.resume();
      resume();
    };
    const more = this.#handler.onHeaders(status, headers, resumed, statusText);
    if (more === false) this.#pausedNow();
    return more;
  }

  /** Deadline of the body. */
  #until(): number {
    return this.#inAllMs < 0 ? this.deadline : Math.min(this.since + this.#inAllMs, this.#outer);
  }

  onUpgrade(status: number, headers: Buffer[] | string[] | null, socket: Duplex): void {
    if (this.#over) return void socket.destroy();
    this.#over = true;
    this.#disarm();
    this.#time(status);
    this.answered(Number.POSITIVE_INFINITY, this.#lane.answered(status));
    this.#connection?.detached();
    this.#connection = undefined;
    this.#lane.upgraded.add(socket);
    socket.once("close", () => {
      this.#lane.upgraded.delete(socket);
      this.succeed();
    });
    this.#handler.onUpgrade?.(status, headers, socket);
  }

  onData(chunk: Buffer): boolean {
    if (this.#over) return true;
    if (this.#swallowed >= 0) return this.#swallow(chunk);
    const max = this.#lane.limits.maxResponseBytes;
    if (max !== undefined && (this.#bytes += chunk.length) > max) {
      this.fail(tooLarge(this.#lane, this.#bytes, max));
      return false;
    }
    const more = this.#handler.onData(chunk);
    if (more === false) this.#pausedNow();
    return more;
  }

  /** A body without a reader is received to its end, unless it is long: then a new connection is cheaper. */
  #swallow(chunk: Buffer): boolean {
    if ((this.#bytes += chunk.length) > MAX_SWALLOWED_BYTES)
      this.#abort?.(new BadStatus(this.#lane.origin, this.#status));
    return true;
  }

  onComplete(trailers: Buffer[] | string[] | null): void {
    this.#abort = undefined;
    if (this.#over) return this.#release();
    this.#time(this.#status);
    if (this.#swallowed >= 0) {
      this.#release();
      return this.#again(this.#swallowed, new BadStatus(this.#lane.origin, this.#status));
    }
    this.#over = true;
    if (this.#unread !== undefined) this.#disarm();
    try {
      this.#handler.onComplete(trailers);
    } catch (error) {
      this.#handler.onError(error as Error); // a handler that throws hears of it, as from undici
    } finally {
      this.#release();
      this.succeed();
    }
  }

  onError(error: Error): void {
    const sent = this.#sent > 0;
    this.#abort = undefined;
    this.#disarm();
    if (!this.#over) this.#time(error);
    this.#broke(sent);
    if (this.#over) return;
    this.#lane.failed(error);
    const pauseMs =
      this.#swallowed >= 0 ? this.#swallowed : this.#repeats(error, sent) ? this.claimRetry(error) : undefined;
    if (pauseMs === undefined) this.fail(error);
    else this.#again(pauseMs, error);
  }

  /** Whether an answer that says "not now" is to be run out unseen, with another attempt behind it. */
  #claims(status: number, headers: Buffer[]): boolean {
    const { retry, closed } = this.#lane;
    if (retry === undefined || closed || !maySendTwice(this.options)) return false;
    const reason = new BadStatus(this.#lane.origin, status);
    this.#swallowed =
      this.claimRetry(reason, Math.min(retryAfterMs(headers, this.#lane.clock.wallNow()), retry.maxDelayMs)) ?? -1;
    return this.#swallowed >= 0;
  }

  /** What never left may always be sent again; what did, only if doing it twice is doing it once. */
  #repeats(error: Error, sent: boolean): boolean {
    if (this.#lane.retry === undefined || this.#answered || this.#lane.closed || !isTransient(error)) return false;
    return sent ? maySendTwice(this.options) : isRepeatable(this.options.body);
  }

  #again(pauseMs: number, error: Error): void {
    this.#swallowed = -1;
    this.#bytes = 0;
    this.#timed = false;
    this.retryIn(pauseMs, error);
  }

  /** Records how long this attempt took to its status or its failure. Before it has a connection there is none. */
  #time(outcome: unknown): void {
    if (this.#timed || this.#connection === undefined) return;
    this.#timed = true;
    const tookMs = this.#lane.clock.now() - (this.startedAt ?? this.since);
    this.#lane.requests.record(this.options.method, outcome, tookMs / 1_000);
  }

  #pausedNow(): void {
    if (this.#over) return;
    this.#unread ??= new UnreadBody(this.#lane, this);
    this.#unread.pause();
  }
}

/** The same request with headers that it does not bring itself; the very same object where there are none to add. */
function withHeaders(
  options: HttpDispatchOptions,
  authorization: string | undefined,
  requestId: string | undefined,
  traceparent: string | undefined,
): HttpDispatchOptions {
  // Most calls carry none, and lists of nothing would be a sixth of what a call costs here.
  if (authorization === undefined && requestId === undefined && traceparent === undefined) return options;
  const missing: (readonly [string, string])[] = [];
  for (const [name, value] of Object.entries({ authorization, "x-request-id": requestId, traceparent }))
    if (value !== undefined && !hasHeader(options.headers, name)) missing.push([name, value]);
  return missing.length === 0 ? options : { ...options, headers: add(options.headers, missing) ?? null };
}
