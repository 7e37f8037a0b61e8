import { EventEmitter } from "node:events";
import type { CallOptions, StewardError } from "@steward/core";
import { describeError, Lookout, outcomeUnknown } from "@steward/core/driver";
import type { WebSocket } from "ws";
import { processed } from "../wire/about.ts";
import type { Payload } from "../wire/protocol.ts";
import { isolated } from "../wire/uncaught.ts";
import { Dialler } from "./connection/dialler.ts";
import { lookEveryMsOf, type Link } from "./connection/link.ts";
import { Pauses } from "./connection/pauses.ts";
import { Retired } from "./connection/retired.ts";
import { Successor } from "./connection/successor.ts";
import { Waiters } from "./connection/waiters.ts";
import { connectionEnded, noConnection } from "./failures.ts";
import type { Message } from "./messages/inbox.ts";
import { Outbox } from "./messages/outbox.ts";
import { Readers } from "./messages/readers.ts";
import { Sender } from "./messages/sender.ts";
import type { SessionEvents, SessionPlan, SessionState, State } from "./plan.ts";
import { resumed } from "./resumption.ts";
import { statsOf } from "./stats.ts";
import { checkJoin, RoomBook, type RoomListener } from "./rooms.ts";

/**
 * A conversation with a server that outlives its connections: it reconnects, resumes, and says of every message what
 * became of it.
 */
export class WebSocketSession extends EventEmitter<SessionEvents> implements AsyncIterable<Message> {
  /** Name in errors and stats. */
  readonly name: string;
  readonly #plan: SessionPlan;
  readonly #outbox: Outbox;
  readonly #sender: Sender;
  readonly #pauses: Pauses;
  readonly #rooms = new RoomBook({
    gap: (room) => isolated(() => this.emit("gap", room)),
    expelled: (room, error) => isolated(() => this.emit("expelled", room, error)),
    traced: (traceContext, room, work) => processed(this.#plan, traceContext, room, work),
  });
  readonly #readers: Readers;
  readonly #dialler: Dialler;
  readonly #successor: Successor;
  readonly #lookout: Lookout;
  readonly #retired = new Retired();
  readonly #waiters = new Waiters<WebSocket>();
  #state: State = { name: "closed", why: "not started" };
  #lastError: StewardError | undefined;
  #everOpen = false; // since it began
  #reconnects = 0;
  #openings = 0;
  #usedAt = 0;
  #heardAt = Number.NEGATIVE_INFINITY;
  #ended: Promise<void> = Promise.resolve();

  constructor(plan: SessionPlan) {
    super();
    this.name = plan.name;
    this.#plan = plan;
    this.#pauses = new Pauses(plan);
    this.#readers = new Readers(plan.maxUnread, () => this.#retired.and(this.#link));
    this.#dialler = new Dialler(plan, this.#listener);
    const inUse = (): Link | undefined => this.#link;
    this.#successor = new Successor(plan, this.#dialler, inUse, (next) => this.#opened(next, 0));
    this.#lookout = new Lookout(plan.clock, lookEveryMsOf(plan), (stoodStill) => this.#look(stoodStill));
    this.#outbox = new Outbox(plan, () => this.#refusal());
    this.#sender = new Sender(plan, this.#outbox);
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
   * reply to {@link call} shows that it arrived.
   *
   * @throws {WEBSOCKET_DISCONNECTED} when there is no connection and `offline` is `reject`.
   * @throws {OUTCOME_UNKNOWN} when the connection ended while it was written.
   * @throws {OVERLOADED} when too much waits already.
   * @throws {DEADLINE_EXCEEDED} when it could not be written in time.
   */
  send(data: Payload, options?: CallOptions): Promise<void> {
    return this.#sender.send(data, false, options);
  }

  /**
   * Sends a request and gives the reply to it.
   *
   * @throws {WEBSOCKET_CALL_FAILED} when the other side answers with an error; `cause` is that error.
   * @throws {WEBSOCKET_DISCONNECTED} when there is no connection, so it was not sent.
   * @throws {OUTCOME_UNKNOWN} when the connection ended before the reply.
   * @throws {DEADLINE_EXCEEDED} when there is no sign of it in time.
   */
  call(body: unknown, options?: CallOptions): Promise<unknown> {
    return this.#sender.call({ verb: "call", body }, false, options);
  }

  /**
   * Joins a room of a hub of this package. After a reconnect it goes on where it was; where the hub no longer has what
   * came in between, the event `gap` says so. Resolves, once joined, with the function that leaves.
   *
   * @throws {OPTIONS_INVALID} when the room is no text, or the listener no function.
   */
  async join(room: string, listener: RoomListener): Promise<() => Promise<void>> {
    checkJoin(`${this.#plan.resource}: join`, room, listener);
    return this.#rooms.join(room, listener, (request) => this.#sender.call(request, false));
  }

  /** Waits for a connection and gives the real socket. Rejects when the session is closed. */
  ready(): Promise<WebSocket> {
    if (this.#state.name === "open") return Promise.resolve(this.#state.link.ws);
    if (this.#state.name === "closed") return Promise.reject(this.disconnected());
    return this.#waiters.wait();
  }

  /** Messages as they come, over all connections, until the session is closed. A reader that lags pauses the socket. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    return this.#readers.open(this.#state.name === "closed");
  }

  /** True when nothing is under way and there is no listener: it can make room for another. */
  get isIdle(): boolean {
    return this.#owes + this.#readers.size + this.#rooms.size + this.listenerCount("message") === 0;
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
    const [opened, reconnects, retired, outbox] = [this.#openings, this.#reconnects, this.#retired, this.#outbox];
    return statsOf({ state: this.state, opened, reconnects, retired, outbox, link: this.#link });
  }

  /** @internal Connects, and again whenever the connection ends. */
  begin(): void {
    if (this.#state.name !== "closed") return;
    this.#reconnects = 0;
    this.#dialler.restart();
    this.#everOpen = false;
    this.#usedAt = this.#plan.clock.now();
    this.#connect(0);
    this.#lookout.start();
  }

  #connect(attempt: number): void {
    const outcome = {
      opened: (link: Link): void => this.#opened(link, attempt),
      failed: (error: StewardError): void => this.#failed(error, attempt),
    };
    const dial = this.#successor.handOver(outcome) ?? this.#dialler.dial(outcome);
    if (dial !== undefined) this.#state = { name: "connecting", dial, attempt };
  }

  readonly #listener = {
    message: (data: Buffer, isBinary: boolean): void => this.#message(data, isBinary),
    taken: (link: Link): void => this.#outbox.taken(link),
    closed: (link: Link, code: number, reason: string, why?: string): void => this.#closed(link, code, reason, why),
  };

  #message(data: Buffer, isBinary: boolean): void {
    if (this.#rooms.size > 0 && !isBinary && this.#rooms.take(data)) return;
    if (this.#readers.size > 0) this.#readers.push(isBinary ? data : data.toString());
    this.emit("message", data, isBinary);
  }

  #opened(link: Link, attempt: number): void {
    const before = this.#link;
    this.#openings++;
    this.#state = { name: "resuming", link, attempt };
    this.#outbox.attach(link);
    if (before !== undefined) {
      this.#reconnects++;
      this.#retired.add(before);
    }
    void this.#resume(link, attempt);
  }

  async #resume(link: Link, attempt: number): Promise<void> {
    try {
      await resumed(this.#plan, this.#sender, link.ws, this.#reconnects);
      if (this.#link === link) await this.#rooms.resume((request) => this.#sender.call(request, true));
    } catch (error) {
      return link.kill(`the resume hook failed: ${describeError(error)}`);
    }
    if (this.#link !== link || !link.isOpen) return;
    this.#state = { name: "open", link, attempt };
    this.#lastError = undefined;
    this.#everOpen = true;
    this.#outbox.open();
    this.#readers.adjustRate();
    this.#waiters.resolve(link.ws);
    this.#plan.onOpen();
    isolated(() => this.emit("open", link.ws));
  }

  #failed(error: StewardError, attempt: number): void {
    this.#lastError = error;
    this.#dialler.leave(this.#dialler.turn);
    this.#outbox.detach(this.disconnected(), this.#plan.offline === "reject");
    const round = (attempt + 1) / Math.max(1, this.#plan.targets.length);
    if (round === 1 && !this.#everOpen) this.#waiters.reject(error);
    this.#wait(Number.isInteger(round) ? this.#pauses.after(round - 1) : 0, attempt + 1);
  }

  #wait(pauseMs: number, attempt: number): void {
    const { clock, onState, client } = this.#plan;
    if (client !== undefined) void this.finish("its client has closed, and is not ours to replace");
    else if (this.#successor.goesOn()) this.#connect(attempt);
    else this.#state = { name: "waiting", timer: clock.setTimeout(() => this.#connect(attempt), pauseMs), attempt };
    onState();
  }

  #closed(link: Link, code: number, reason: string, why: string | undefined): void {
    const { resource, clock, offline } = this.#plan;
    const said = why ?? `closed with ${code}${reason === "" ? "" : ` (${reason})`}`;
    const lost = outcomeUnknown(resource, `the connection ended before the reply: ${said}`);
    const ended = connectionEnded(resource, said);
    link.fail(lost, ended);
    this.#outbox.lose(link, lost);
    this.#retired.delete(link);
    if (link !== this.#link || (this.#state.name !== "open" && this.#state.name !== "resuming")) return;
    this.#heardAt = link.heardAt;
    const { attempt, name } = this.#state;
    this.#lastError = ended;
    if (name === "resuming" || link.isSilent) this.#dialler.leave(link.turn);
    if (!this.#everOpen) this.#waiters.reject(ended);
    this.#outbox.detach(ended, offline === "reject");
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
    return noConnection(this.#plan.resource, this.#state, this.#lastError);
  }

  /** @internal One round trip. */
  ping(): Promise<void> {
    return this.#state.name === "open" ? this.#state.link.ping() : Promise.reject(this.disconnected());
  }

  /** @internal A sign of life of the other side, by a ping or over a new connection, which then takes over. */
  ask(signal: AbortSignal): Promise<void> {
    return this.#link === undefined ? Promise.reject(this.disconnected()) : this.#successor.ask(this.#link, signal);
  }

  /** @internal A new connection takes over; the old one ends with its last reply. */
  renew(): void {
    if (this.#state.name === "open") this.#successor.renew(this.#state.link);
    else if (this.#state.name === "waiting") {
      this.#state.timer.cancel();
      this.#connect(this.#state.attempt);
    }
  }

  #look(stoodStill: boolean): void {
    this.#retired.look(stoodStill);
    this.#link?.look(this.#owes > 0, stoodStill);
    const { idleSessionTimeoutMs: idleMs, clock } = this.#plan;
    if (idleMs > 0 && this.isIdle && clock.now() - this.usedAt >= idleMs) void this.finish(`idle for ${idleMs} ms`);
  }

  /** Closes it for good: says goodbye, and ends the connection after `closeTimeoutMs` at the latest. */
  end(why = "it was ended"): Promise<void> {
    return this.finish(why);
  }

  /** @internal What its manager ends it with; what was not sent is refused with `refusal`, where there is one. */
  finish(why: string, signal?: AbortSignal, refusal?: StewardError): Promise<void> {
    if (this.#state.name !== "closed") this.#ended = this.#end(this.#state, why, signal, refusal);
    return this.#ended;
  }

  async #end(state: State, why: string, signal?: AbortSignal, refusal?: StewardError): Promise<void> {
    const links = this.#retired.and(this.#link);
    const endReaders = this.#readers.ending();
    this.#state = { name: "closed", why };
    this.#lookout.stop();
    this.#successor.cancel();
    if (state.name === "connecting") state.dial.cancel();
    if (state.name === "waiting") state.timer.cancel();
    const error = refusal ?? this.disconnected();
    this.#waiters.reject(error);
    // Before anything waits: a session that begins again meanwhile has an outbox of its own from here.
    this.#outbox.detach(error, true);
    this.#plan.onEnd();
    await Promise.all(links.map((link) => link.goodbye(this.#plan.closeTimeoutMs, signal)));
    endReaders();
  }
}
