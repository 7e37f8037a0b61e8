import type { Socket } from "node:net";
import type { Clock } from "@steward/core";
import { WebSocket, type RawData } from "ws";
import type { CallProtocol } from "../../wire/protocol.ts";
import { Row, type Carrier, type OpenCall, type Outgoing } from "../messages/outgoing.ts";

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
export function lookEveryMs({ silenceMs, heartbeatMs, heartbeatTimeoutMs }: Patience): number {
  return Math.max(1, Math.min(silenceMs, heartbeatMs, heartbeatTimeoutMs) / 2);
}

/** What a link reports to its session. */
export interface LinkOwner {
  message(data: Buffer, isBinary: boolean): void;
  /** The system has taken the oldest of the batches that were written. */
  taken(link: Link): void;
  /** `why` is given when we ended it because it was silent. */
  closed(link: Link, code: number, reason: string, why: string | undefined): void;
}

/** One open connection: the real socket, the calls written to it, and its signs of life. */
export class Link implements Carrier {
  readonly ws: WebSocket;
  readonly calls: Map<number, OpenCall> = new Map();
  /** What was written and the system has not taken yet. */
  readonly writing: Row = new Row();
  readonly openedAt: number;
  /** It was given up because it was silent. */
  isSilent = false;
  readonly #wire: Pick<Socket, "cork" | "uncork">;
  readonly #owner: LinkOwner;
  readonly #protocol: CallProtocol;
  readonly #clock: Clock;
  /** Anything came since the last look. A flag, because a look at the clock for each message would cost more. */
  #heard = false;
  /** A message went either way since it was asked last. */
  #used = true;
  #heardAt: number;
  #pingedAt: number | undefined;
  #pongWaiters: (() => void)[] = [];
  #given = 0;
  #why: string | undefined;

  constructor(
    ws: WebSocket,
    wire: Pick<Socket, "cork" | "uncork">,
    owner: LinkOwner,
    protocol: CallProtocol,
    clock: Clock,
  ) {
    this.ws = ws;
    this.#wire = wire;
    this.#owner = owner;
    this.#protocol = protocol;
    this.#clock = clock;
    this.openedAt = this.#heardAt = clock.now();
    ws.on("message", this.#receive).on("ping", this.#pinged).on("pong", this.#ponged);
    ws.on("error", this.#ignore).on("close", this.#closed);
  }

  readonly #pinged = (): void => void (this.#heard = true);
  readonly #ignore = (): void => {}; // the close that follows an error says it all
  readonly #closed = (code: number, reason: Buffer): void =>
    this.#owner.closed(this, code, reason.toString(), this.#why);

  /** Hears and reports nothing any more, but that it is over for us. */
  protected letGo(code: number, why: string | undefined): void {
    const { ws } = this;
    ws.off("message", this.#receive).off("ping", this.#pinged).off("pong", this.#ponged);
    ws.off("error", this.#ignore).off("close", this.#closed);
    this.#owner.closed(this, code, "", why);
  }

  get isOpen(): boolean {
    return this.ws.readyState === WebSocket.OPEN;
  }

  /** When it last gave a sign of life, in ms of the clock; up to one look late. */
  get heardAt(): number {
    return this.#heardAt;
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
    this.#heard = this.#used = true;
    if ((this.calls.size > 0 || this.#given > 0) && this.#isReply(data, isBinary)) return;
    this.#owner.message(data, isBinary);
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
    this.#heard = true;
    for (const answer of this.#pongWaiters.splice(0)) answer();
  };

  /** Asks for a sign of life; resolves with the pong. */
  ping(): Promise<void> {
    return new Promise((resolve) => {
      this.#pongWaiters.push(resolve);
      this.#sendPing();
    });
  }

  #sendPing(): void {
    this.#pingedAt ??= this.#clock.now();
    if (this.isOpen) this.ws.ping();
  }

  /** Looks whether the other side still lives; ends the connection when it does not. `owes`: whether we wait for it. */
  look(patience: Patience, owes: boolean): void {
    const now = this.#clock.now();
    if (this.#heard || this.ws.isPaused) {
      this.#heard = false;
      this.#heardAt = now;
      this.#pingedAt = undefined;
      return;
    }
    const quietMs = now - this.#heardAt;
    if (this.#pingedAt === undefined) {
      if (quietMs >= (owes ? patience.silenceMs : patience.heartbeatMs)) this.#sendPing();
    } else if (now - this.#pingedAt >= patience.heartbeatTimeoutMs) this.silent(quietMs);
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
