import type { Socket } from "node:net";
import type { Clock, StewardError } from "@steward/core";
import { ConnectionWatch, describeError } from "@steward/core/driver";
import { WebSocket, type RawData } from "ws";
import type { CallProtocol } from "../../wire/protocol.ts";
import { uncaught } from "../../wire/uncaught.ts";
import { Row, type Carrier, type OpenCall, type Outgoing } from "../messages/outgoing.ts";
import { Waiters } from "./waiters.ts";

const TEXT = { binary: false };
const BINARY = { binary: true };

/** When a silent connection is asked for a sign of life, and when it is given up. */
export interface Patience {
  /** Silence while something is owed, in ms. */
  readonly silenceMs: number;
  /** Silence while nothing is owed, in ms. */
  readonly heartbeatMs: number;
  /** Time to answer a ping, in ms. */
  readonly heartbeatTimeoutMs: number;
}

/** How often a connection is looked at, in ms. */
export function lookEveryMsOf({ silenceMs, heartbeatMs, heartbeatTimeoutMs }: Patience): number {
  return Math.max(1, Math.min(silenceMs, heartbeatMs, heartbeatTimeoutMs) / 2); // there may be many sessions
}

/** What a link reports to its session. */
export interface LinkOwner {
  message(data: Buffer, isBinary: boolean): void;
  /** The system has taken the oldest of the batches that were written. */
  taken(link: Link): void;
  /** `why` is given when we ended it because it was silent, or an error did. */
  closed(link: Link, code: number, reason: string, why: string | undefined): void;
}

/** One open connection: the real socket, the calls written to it, and its signs of life. */
export class Link implements Carrier {
  readonly ws: WebSocket;
  readonly calls: Map<number, OpenCall> = new Map();
  /** What was written and the system has not taken yet. */
  readonly writing: Row = new Row();
  readonly openedAt: number;
  /** Which target it leads to, by the count of its dialler. */
  turn = 0;
  /** It was given up because it was silent. */
  isSilent = false;
  readonly #wire: Pick<Socket, "cork" | "uncork">;
  readonly #owner: LinkOwner;
  readonly #protocol: CallProtocol;
  readonly #clock: Clock;
  readonly #patience: Patience;
  readonly #watch: ConnectionWatch;
  /** Messages, pings and pongs. A count, because a look at the clock for each would cost more. */
  #heard = 0;
  #owes = false;
  /** A message went either way since it was asked last. */
  #used = true;
  #pingedAt = Number.NEGATIVE_INFINITY;
  /** When we were last seen not to read. */
  #unreadAt = Number.NEGATIVE_INFINITY;
  /** How much had been heard when it was pinged. */
  #heardBefore = -1;
  readonly #pongs = new Waiters<void>();
  #given = 0;
  #why: string | undefined;

  constructor(
    ws: WebSocket,
    wire: Pick<Socket, "cork" | "uncork">,
    owner: LinkOwner,
    protocol: CallProtocol,
    clock: Clock,
    patience: Patience,
  ) {
    this.ws = ws;
    this.#wire = wire;
    this.#owner = owner;
    this.#protocol = protocol;
    this.#clock = clock;
    this.openedAt = clock.now();
    this.#patience = patience;
    this.#watch = new ConnectionWatch({
      clock,
      silenceMs: Math.min(patience.silenceMs, patience.heartbeatMs),
      owed: () => true, // a ping costs little: where something is owed, the silence before it counts
      received: () => (this.#noteUnread(), this.#heard),
      onSilence: (silentMs) => this.#ask(silentMs),
    });
    ws.on("message", this.#receive).on("ping", this.#pinged).on("pong", this.#ponged);
    ws.on("error", this.#failed).on("close", this.#closed);
  }

  readonly #pinged = (): void => void this.#heard++;
  /** The close that follows says it. */
  readonly #failed = (error: Error): void => void (this.#why ??= describeError(error));
  readonly #closed = (code: number, reason: Buffer): void =>
    this.#owner.closed(this, code, reason.toString(), this.#why);

  /** Hears and reports nothing any more, but that it is over for us. */
  protected letGo(code: number, why: string | undefined): void {
    const { ws } = this;
    ws.off("message", this.#receive).off("ping", this.#pinged).off("pong", this.#ponged);
    ws.off("error", this.#failed).off("close", this.#closed);
    this.#owner.closed(this, code, "", why);
  }

  get isOpen(): boolean {
    return this.ws.readyState === WebSocket.OPEN;
  }

  /** When it last gave a sign of life, in ms of the clock; up to one look late. */
  get heardAt(): number {
    return this.#watch.heardAt;
  }

  /** True when a message went either way since this was asked last. */
  takeUsed(): boolean {
    const used = this.#used;
    this.#used = false;
    return used;
  }

  cork(): void {
    this.#wire.cork();
  }

  uncork(): void {
    this.#wire.uncork();
  }

  /** Writes a message. `endsBatch`: it is the last one of those that are written together. */
  write(item: Outgoing, endsBatch: boolean): void {
    this.#used = true;
    const { data, isText } = item;
    item.link = this;
    item.endsBatch = endsBatch;
    item.data = "";
    item.written(this);
    this.writing.push(item);
    this.ws.send(data, isText ? TEXT : BINARY, endsBatch ? this.#onTaken : undefined);
  }

  /** One for all batches: they are taken in their order. After an error the connection ends, which says it all. */
  readonly #onTaken = (error?: Error | null): void => {
    if (error === undefined || error === null) this.#owner.taken(this);
  };

  forget(id: number): void {
    if (this.calls.delete(id)) this.#given = Math.max(this.#given, id);
  }

  readonly #receive = (message: RawData, isBinary: boolean): void => {
    const data = message as Buffer; // `binaryType` stays "nodebuffer"
    this.#heard++;
    this.#used = true;
    try {
      if ((this.calls.size > 0 || this.#given > 0) && this.#isReply(data, isBinary)) return;
      this.#owner.message(data, isBinary);
    } catch (error) {
      uncaught(error); // thrown here, ws would read no more and never close
    }
  };

  #isReply(data: Buffer, isBinary: boolean): boolean {
    const reply = this.#protocol.decode(data, isBinary);
    if (reply === undefined) return false;
    const call = this.calls.get(reply.id);
    if (call === undefined) return reply.id <= this.#given;
    if (call.replied(reply)) this.calls.delete(reply.id);
    return true;
  }

  readonly #ponged = (): void => {
    this.#heard++;
    this.#pongs.resolve();
  };

  /**
   * Asks for a sign of life; resolves with the pong, or when we do not read, for then no silence says anything of the
   * other side. Rejects when the connection ends before.
   */
  ping(): Promise<void> {
    const pong = this.#pongs.wait();
    this.#sendPing();
    this.#noteUnread();
    return pong;
  }

  /** Reads no more, or again. Both ways what was not heard until now is not held against the other side. */
  setReading(reads: boolean): void {
    if (reads !== this.ws.isPaused) return;
    if (!reads) this.ws.pause();
    this.#noteUnread();
    if (reads) this.ws.resume();
  }

  wasUnreadSince(instant: number): boolean {
    this.#noteUnread();
    return this.#unreadAt >= instant;
  }

  /** Users may pause the real socket too, so it is asked again and again. */
  #noteUnread(): void {
    if (!this.ws.isPaused) return;
    this.#unreadAt = this.#clock.now();
    this.#heard++; // what is paused by us is not silent
    this.#pongs.resolve();
  }

  #sendPing(): void {
    if (!this.#isAsked) [this.#pingedAt, this.#heardBefore] = [this.#clock.now(), this.#heard];
    if (this.isOpen) this.ws.ping();
  }

  /** Whether there is a ping since the last sign of life. What is paused by us is not silent. */
  get #isAsked(): boolean {
    return this.#heardBefore === this.#heard && !this.ws.isPaused;
  }

  /** How long a ping has been without any sign of life, in ms; 0 where there is none. */
  get unansweredMs(): number {
    return this.#isAsked ? this.#clock.now() - this.#pingedAt : 0;
  }

  /** It has ended: no reply comes any more, and no pong. */
  fail(lost: StewardError, ended: StewardError): void {
    for (const call of this.calls.values()) call.fail(lost);
    this.#pongs.reject(ended);
  }

  /** Looks whether the other side still lives; ends the connection when it does not. `owes`: whether we wait for it. */
  look(owes: boolean, stoodStill: boolean): void {
    this.#owes = owes;
    this.#watch.look(stoodStill);
  }

  #ask(silentMs: number): void {
    const { silenceMs, heartbeatMs, heartbeatTimeoutMs } = this.#patience;
    if (silentMs < (this.#owes ? silenceMs : heartbeatMs)) return;
    if (!this.#isAsked) this.#sendPing();
    else if (this.unansweredMs >= heartbeatTimeoutMs) this.silent(silentMs);
  }

  protected silent(quietMs: number): void {
    this.isSilent = true;
    this.kill(`silent for ${Math.round(quietMs)} ms, a ping included`);
  }

  /** Ends it in peace, by force after `timeoutMs` or when the signal aborts. Resolves once it has ended. */
  async goodbye(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { ws } = this;
    if (ws.readyState === WebSocket.CLOSED) return;
    const closed = new Promise<void>((resolve) => ws.once("close", () => resolve()));
    const kill = (): void => this.kill();
    const timer = this.#clock.setTimeout(kill, timeoutMs);
    signal?.addEventListener("abort", kill, { once: true });
    if (ws.isPaused) ws.resume();
    if (signal?.aborted === true) kill();
    else ws.close(1000);
    await closed;
    timer.cancel();
    signal?.removeEventListener("abort", kill);
  }

  /** Ends it at once. */
  kill(why?: string): void {
    this.#why ??= why;
    this.ws.terminate();
  }
}
