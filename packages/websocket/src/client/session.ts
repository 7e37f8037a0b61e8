import { EventEmitter } from "node:events";
import { StewardError, type CallOptions, type Guard, type Timer } from "@steward/core";
import { describeError } from "@steward/core/driver";
import type { WebSocket } from "ws";
import type { Payload } from "../wire/protocol.ts";
import { Dial } from "./dial.ts";
import { Inbox, type Message } from "./inbox.ts";
import { Link, lookEveryMs } from "./link.ts";
import { Outbox } from "./outbox.ts";
import { Pauses } from "./pauses.ts";
import type { SessionEvents, SessionPlan, SessionState, State } from "./plan.ts";
import { resumptionOf } from "./resumption.ts";
import { RoomBook, type RoomListener } from "./rooms.ts";
import { CallUse, checkCallOptions, SendUse, type Request } from "./uses.ts";

/** A look that comes so late shows that this process stood still, in ms. */
const LATE_MS = 100;

/**
 * A conversation with a server that outlives its connections: it reconnects, resumes, and says of every message what
 * became of it.
 */
export class WebSocketSession extends EventEmitter<SessionEvents> implements AsyncIterable<Message> {
  /** Name in errors and stats. */
  readonly name: string;
  readonly #plan: SessionPlan;
  readonly #outbox: Outbox;
  readonly #pauses: Pauses;
  readonly #rooms = new RoomBook({
    gap: (room) => this.emit("gap", room),
    expelled: (room, error) => this.emit("expelled", room, error),
  });
  readonly #inboxes = new Set<Inbox>();
  readonly #retiring = new Set<Link>();
  #state: State = { name: "closed", why: "not started" };
  #waiters: { resolve(socket: WebSocket): void; reject(error: unknown): void }[] = [];
  #lastError: StewardError | undefined;
  #turn = 0;
  /** Since it began. */
  #everOpen = false;
  #reconnects = 0;
  #connections = 0;
  #lastId = 0;
  #usedAt = 0;
  #heardAt = Number.NEGATIVE_INFINITY;
  #look: Timer | undefined;
  #lookAt = 0;
  #renewal: Dial | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(plan: SessionPlan) {
    super();
    this.name = plan.name;
    this.#plan = plan;
    this.#pauses = new Pauses(plan);
    const { resource, maxQueued, maxQueuedBytes } = plan;
    this.#outbox = new Outbox({ resource, maxQueued, maxQueuedBytes, refusal: () => this.#refusal() });
  }

  /** Where it is. */
  get state(): SessionState {
    return this.#state.name;
  }

  /** The current real `ws` socket; another one after a reconnect. */
  get socket(): WebSocket | undefined {
    return this.#state.name === "open" ? this.#state.link.ws : undefined;
  }

  /** Why there is no connection, when there is none. */
  get lastError(): StewardError | undefined {
    return this.#lastError;
  }

  /** When the other side last gave a sign of life, in ms of the clock. */
  get heardAt(): number {
    return this.#link === undefined ? this.#heardAt : Math.max(this.#heardAt, this.#link.heardAt);
  }

  get #link(): Link | undefined {
    return this.#state.name === "open" || this.#state.name === "resuming" ? this.#state.link : undefined;
  }

  /**
   * Sends a message. Resolves when the system has taken it, so awaiting it is all the pacing a sender needs; only a
   * reply to {@link call} tells that it arrived.
   *
   * @throws {WEBSOCKET_DISCONNECTED} when there is no connection and `offline` is `reject`.
   * @throws {WEBSOCKET_OUTCOME_UNKNOWN} when the connection ended while it was written.
   * @throws {OVERLOADED} when too much waits already.
   * @throws {DEADLINE_EXCEEDED} when it could not be written in time.
   */
  send(data: Payload, options?: CallOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      checkCallOptions(`${this.#plan.resource}: send`, options);
      this.#plan.sends.enter(new SendUse(this.#outbox, data, false, resolve, reject), options);
    });
  }

  /**
   * Sends a request and gives the reply to it.
   *
   * @throws {WEBSOCKET_CALL_FAILED} when the other side answers with an error; `cause` is that error.
   * @throws {WEBSOCKET_DISCONNECTED} when there is no connection, so it was not sent.
   * @throws {WEBSOCKET_OUTCOME_UNKNOWN} when the connection ended before the reply.
   * @throws {DEADLINE_EXCEEDED} when there is no sign of it in time.
   */
  call(body: unknown, options?: CallOptions): Promise<unknown> {
    return this.#request({ verb: "call", body }, this.#plan.calls, options);
  }

  #request(request: Request, guard: Guard, options?: CallOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      checkCallOptions(`${this.#plan.resource}: call`, options);
      const urgent = guard === this.#plan.resumes;
      guard.enter(new CallUse(this.#outbox, this.#plan, ++this.#lastId, request, urgent, resolve, reject), options);
    });
  }

  /**
   * Joins a room of a hub of this package. After a reconnect it goes on where it was; where the hub no longer has what
   * came in between, the event `gap` says so. Resolves, once joined, with the function that leaves.
   */
  join(room: string, listener: RoomListener): Promise<() => Promise<void>> {
    return this.#rooms.join(room, listener, (request) => this.#request(request, this.#plan.calls));
  }

  /** Waits for a connection and gives the real socket. Rejects when the session is closed. */
  ready(): Promise<WebSocket> {
    const { socket } = this;
    if (socket !== undefined) return Promise.resolve(socket);
    if (this.#state.name === "closed") return Promise.reject(this.disconnected());
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Messages as they come, over all connections, until the session is closed. A reader that lags pauses the socket. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    const inbox = new Inbox(
      this.#plan.maxUnread,
      () => this.#pace(),
      (gone) => {
        this.#inboxes.delete(gone);
        this.#pace();
      },
    );
    if (this.#state.name === "closed") inbox.end();
    else this.#inboxes.add(inbox);
    return inbox;
  }

  #pace(): void {
    const ws = this.#link?.ws;
    if (ws === undefined) return;
    const full = [...this.#inboxes].some((inbox) => inbox.isFull);
    if (full && !ws.isPaused) ws.pause();
    else if (!full && ws.isPaused) ws.resume();
  }

  /** True when nothing is under way and there is no listener: it can make room for another. */
  get isIdle(): boolean {
    return (
      this.#owes === 0 && this.#inboxes.size === 0 && this.listenerCount("message") === 0 && this.#rooms.size === 0
    );
  }

  /** When a message last went either way, in ms of the clock. */
  get usedAt(): number {
    if (this.#link?.takeUsed() === true) this.#usedAt = this.#plan.clock.now();
    return this.#usedAt;
  }

  get #owes(): number {
    return (this.#link?.calls.size ?? 0) + this.#outbox.length;
  }

  /** The current numbers. */
  stats(): Readonly<Record<string, number | string>> {
    const { length: queued, bytes: queuedBytes } = this.#outbox;
    const unanswered = this.#link?.calls.size ?? 0;
    return Object.freeze({
      state: this.state,
      connections: this.#connections,
      reconnects: this.#reconnects,
      queued,
      queuedBytes,
      unanswered,
    });
  }

  /** @internal Connects, and again whenever the connection ends. */
  begin(): void {
    if (this.#state.name !== "closed") return;
    this.#reconnects = this.#turn = 0;
    this.#everOpen = false;
    this.#usedAt = this.#plan.clock.now();
    this.#connect(0);
    this.#scheduleLook();
  }

  #connect(attempt: number): void {
    const { targets, resource, clock } = this.#plan;
    const target = targets[this.#turn % targets.length];
    if (target === undefined) return;
    const dial: Dial = new Dial(resource, clock, target, {
      opened: (ws, wire) => this.#opened(new Link(ws, wire, this.#listener, this.#plan.protocol, clock), attempt),
      failed: (error) => this.#failed(error, attempt),
    });
    this.#state = { name: "connecting", dial, attempt };
  }

  readonly #listener = {
    message: (data: Buffer, isBinary: boolean): void => this.#message(data, isBinary),
    taken: (link: Link): void => this.#outbox.taken(link),
    closed: (link: Link, code: number, reason: string, why: string | undefined): void =>
      this.#closed(link, code, reason, why),
  };

  #message(data: Buffer, isBinary: boolean): void {
    if (this.#rooms.size > 0 && !isBinary && this.#rooms.take(data)) return;
    this.emit("message", data, isBinary);
    if (this.#inboxes.size > 0) for (const inbox of this.#inboxes) inbox.push(isBinary ? data : data.toString());
  }

  #opened(link: Link, attempt: number): void {
    const before = this.#link;
    this.#connections++;
    this.#state = { name: "resuming", link, attempt };
    this.#outbox.attach(link);
    if (before !== undefined) this.#retire(before);
    void this.#resume(link, attempt);
  }

  async #resume(link: Link, attempt: number): Promise<void> {
    const { resume, resumes } = this.#plan;
    try {
      const call = (request: Request): Promise<unknown> => this.#request(request, resumes);
      await resume?.(resumptionOf(this.#plan, this.#outbox, link.ws, this.#reconnects, call));
      if (this.#link === link && this.#rooms.size > 0) await this.#rooms.resume(call);
    } catch (error) {
      return link.kill(`the resume hook failed: ${describeError(error)}`);
    }
    if (this.#link !== link || !link.isOpen) return;
    this.#state = { name: "open", link, attempt };
    this.#lastError = undefined;
    this.#everOpen = true;
    this.#outbox.open();
    this.#pace();
    for (const { resolve } of this.#waiters.splice(0)) resolve(link.ws);
    this.emit("open", link.ws);
  }

  #failed(error: StewardError, attempt: number): void {
    this.#lastError = error;
    this.#turn++;
    this.#outbox.detach(this.disconnected(), this.#plan.offline === "reject");
    const round = (attempt + 1) / this.#plan.targets.length;
    if (round === 1 && !this.#everOpen) this.#rejectWaiters(error);
    this.#wait(Number.isInteger(round) ? this.#pauses.after(round - 1) : 0, attempt + 1);
  }

  #rejectWaiters(error: unknown): void {
    for (const { reject } of this.#waiters.splice(0)) reject(error);
  }

  #wait(pauseMs: number, attempt: number): void {
    const { clock, onState } = this.#plan;
    this.#state = { name: "waiting", timer: clock.setTimeout(() => this.#connect(attempt), pauseMs), attempt };
    onState();
  }

  #closed(link: Link, code: number, reason: string, why: string | undefined): void {
    const { resource, clock, offline } = this.#plan;
    const said = why ?? `closed with ${code}${reason === "" ? "" : ` (${reason})`}`;
    const lost = new StewardError(
      "WEBSOCKET_OUTCOME_UNKNOWN",
      `${resource}: the connection ended before the reply: ${said}`,
      { resource },
    );
    for (const call of link.calls.values()) call.fail(lost);
    this.#outbox.lose(link, lost);
    this.#retiring.delete(link);
    if (link !== this.#link || (this.#state.name !== "open" && this.#state.name !== "resuming")) return;
    this.#heardAt = link.heardAt;
    const { attempt, name } = this.#state;
    this.#lastError = new StewardError("WEBSOCKET_DISCONNECTED", `${resource}: not connected: ${said}`, {
      resource,
      retryable: true,
    });
    if (name === "resuming") this.#turn++;
    if (!this.#everOpen) this.#rejectWaiters(this.#lastError);
    this.#outbox.detach(this.#lastError, offline === "reject");
    this.#reconnects++;
    const livedMs = clock.now() - link.openedAt;
    this.#wait(this.#pauses.afterClose(code, attempt, livedMs), this.#pauses.isStable(livedMs) ? 1 : attempt + 1);
    this.emit("close", code, reason);
  }

  #refusal(): StewardError | undefined {
    if (this.#link !== undefined) return undefined;
    return this.#state.name !== "closed" && this.#plan.offline === "wait" ? undefined : this.disconnected();
  }

  /** @internal The error of what needs a connection while there is none. */
  disconnected(): StewardError {
    const { resource } = this.#plan;
    const why = this.#lastError === undefined ? "still connecting" : describeError(this.#lastError);
    const said = this.#state.name === "closed" ? this.#state.why : why;
    return new StewardError("WEBSOCKET_DISCONNECTED", `${resource}: no connection: ${said}`, {
      resource,
      cause: this.#lastError,
      retryable: this.#state.name !== "closed",
    });
  }

  /** @internal One round trip. */
  ping(): Promise<void> {
    return this.#state.name === "open" ? this.#state.link.ping() : Promise.reject(this.disconnected());
  }

  /** @internal A new connection takes over; the old one ends with its last reply. */
  renew(): void {
    if (this.#state.name === "open") {
      const { link } = this.#state;
      const { targets, resource, clock, protocol } = this.#plan;
      const target = targets[this.#turn % targets.length];
      if (target === undefined) return;
      this.#renewal?.cancel();
      this.#renewal = new Dial(resource, clock, target, {
        opened: (ws, wire) => {
          const next = new Link(ws, wire, this.#listener, protocol, clock);
          if (this.#link === link) this.#opened(next, 0);
          else next.kill("it was renewed meanwhile");
        },
        failed: (error) => (this.#lastError = error),
      });
    } else if (this.#state.name === "waiting") {
      this.#state.timer.cancel();
      this.#connect(this.#state.attempt);
    }
  }

  #retire(link: Link): void {
    this.#retiring.add(link);
    if (link.calls.size === 0) link.ws.close(1000);
  }

  #scheduleLook(inMs = lookEveryMs(this.#plan)): void {
    this.#lookAt = this.#plan.clock.now() + inMs;
    this.#look = this.#plan.clock.setTimeout(() => this.#lookAfter(), inMs, { unref: true });
  }

  #lookAfter(): void {
    // What has come while we stood still is read before anybody is called silent.
    if (this.#plan.clock.now() - this.#lookAt > LATE_MS) return this.#scheduleLook(1);
    this.#scheduleLook();
    for (const link of this.#retiring) {
      if (link.calls.size === 0) link.ws.close(1000);
      link.look(this.#plan, true);
    }
    if (this.#state.name === "open" || this.#state.name === "resuming")
      this.#state.link.look(this.#plan, this.#owes > 0);
    const { idleTimeoutMs, clock } = this.#plan;
    if (idleTimeoutMs > 0 && this.isIdle && clock.now() - this.usedAt >= idleTimeoutMs)
      void this.finish(`idle for ${idleTimeoutMs} ms`);
  }

  /** Closes it for good: says goodbye, and ends the connection after `closeTimeoutMs` at the latest. */
  end(why = "it was ended"): Promise<void> {
    return this.finish(why);
  }

  /** @internal What its manager ends it with. */
  finish(why: string, signal?: AbortSignal): Promise<void> {
    if (this.#state.name !== "closed") this.#ended = this.#end(this.#state, why, signal);
    return this.#ended;
  }

  async #end(state: State, why: string, signal: AbortSignal | undefined): Promise<void> {
    const links = [...this.#retiring, ...(this.#link === undefined ? [] : [this.#link])];
    const inboxes = [...this.#inboxes];
    this.#state = { name: "closed", why };
    this.#look?.cancel();
    this.#renewal?.cancel();
    if (state.name === "connecting") state.dial.cancel();
    if (state.name === "waiting") state.timer.cancel();
    const error = this.disconnected();
    this.#rejectWaiters(error);
    // Before anything waits: a session that begins again meanwhile has an outbox of its own from here.
    this.#outbox.detach(error, true);
    this.#plan.onEnd();
    await Promise.all(links.map((link) => link.goodbye(this.#plan.closeTimeoutMs, signal)));
    for (const inbox of inboxes) if (this.#inboxes.delete(inbox)) inbox.end();
  }
}
