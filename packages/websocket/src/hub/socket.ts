import type { Socket } from "node:net";
import type { Clock } from "@steward/core";
import { WebSocket } from "ws";
import { PING_FRAME } from "./frames.ts";

/** What is done with a message for a socket whose peer reads too slowly. */
export type Backpressure = "drop" | "coalesce" | "close";

/** Bounds of a socket. */
export interface SocketLimits {
  readonly backpressure: Backpressure;
  readonly maxBufferedBytes: number;
  readonly messagesPerSecond: number;
  readonly messageBurst: number;
  readonly maxCalls: number;
}

/** What a socket needs of its hub. */
export interface HubCore {
  readonly clock: Clock;
  readonly limits: SocketLimits;
  message(socket: HubSocket, data: Buffer, isBinary: boolean): void;
  closed(socket: HubSocket, code: number): void;
  /** It sent more than it may. */
  limited(): void;
}

/** What became of a message for a socket: `closed` is one that was ended for it, `gone` one that had ended. */
export type Delivery = "sent" | "dropped" | "coalesced" | "closed" | "gone";

const POLICY_VIOLATION = 1008;
const GOING_AWAY = 1001;

/**
 * A socket of a hub: the real `ws` socket, with who it belongs to. Plain fields and shared listeners, for there may be
 * many thousands.
 */
export class HubSocket<User = unknown> extends WebSocket {
  /** Unique in its hub. */
  number = 0;
  /** What `authenticate` gave. */
  user: User | undefined = undefined;
  /** Messages that it did not get because its peer was too slow. */
  dropped = 0;
  /** @internal Calls that are worked on. */
  calls = 0;
  /** @internal A sign of life since the last look. */
  alive = true;
  /** @internal It is to be closed once it has its replies. */
  leaving = false;
  /** @internal */
  joined: Set<string> | undefined = undefined;
  #core: HubCore | undefined = undefined;
  #wire: Socket | undefined = undefined;
  #tokens = 0;
  #refilledAt = 0;
  /** What goes out once there is room, by key: the newest of each. */
  #later: Map<string, Buffer> | undefined = undefined;
  #laterBytes = 0;
  /** Messages that arrived while enough was worked on; the socket is paused meanwhile. */
  #held: (readonly [Buffer, boolean])[] | undefined = undefined;
  /** It does not read our replies, so it is not read. */
  #isDeaf = false;

  /** The rooms it is in. */
  get rooms(): ReadonlySet<string> {
    return this.joined ?? NO_ROOMS;
  }

  /** @internal */
  adopt(core: HubCore, wire: Socket, number: number, user: User | undefined): void {
    this.#core = core;
    this.#wire = wire;
    this.number = number;
    this.user = user;
    this.#tokens = core.limits.messageBurst;
    this.#refilledAt = core.clock.now();
    this.on("message", onMessage).on("pong", onPong).on("close", onClose).on("error", ignore);
  }

  /** @internal The hub it belongs to. */
  get core(): HubCore | undefined {
    return this.#core;
  }

  /** @internal Takes one message from its allowance; closes the socket when there is none left. */
  allow(): boolean {
    const core = this.#core;
    if (core === undefined || this.leaving || this.readyState !== WebSocket.OPEN) return false;
    const { messagesPerSecond, messageBurst } = core.limits;
    if (messagesPerSecond === 0) return true;
    const now = core.clock.now();
    this.#tokens = Math.min(messageBurst, this.#tokens + ((now - this.#refilledAt) / 1_000) * messagesPerSecond);
    this.#refilledAt = now;
    if (this.#tokens >= 1) {
      this.#tokens--;
      return true;
    }
    core.limited();
    this.close(POLICY_VIOLATION, "too many messages");
    return false;
  }

  /**
   * @internal Writes a prepared frame, or does with it what the policy says. `key` names what it replaces while it
   * waits; `instead` goes out later where the frame itself is dropped.
   */
  deliver(frame: Buffer, key: string | undefined, instead?: () => Buffer): Delivery {
    const wire = this.#wire;
    const core = this.#core;
    if (core === undefined || wire === undefined || this.readyState !== WebSocket.OPEN) return "gone";
    if (wire.writableLength + frame.length <= core.limits.maxBufferedBytes && this.#later === undefined) {
      wire.write(frame);
      return "sent";
    }
    return this.#tooSlow(core, wire, frame, key, instead);
  }

  #tooSlow(core: HubCore, wire: Socket, frame: Buffer, key: string | undefined, instead?: () => Buffer): Delivery {
    const { backpressure, maxBufferedBytes } = core.limits;
    if (backpressure === "coalesce" && key !== undefined && this.#laterBytes + frame.length <= maxBufferedBytes) {
      this.#put(wire, key, frame);
      return "coalesced";
    }
    if (backpressure !== "drop") {
      // A goodbye would wait behind what the peer does not read.
      this.terminate();
      return "closed";
    }
    this.dropped++;
    if (instead !== undefined && key !== undefined && this.#later?.has(key) !== true) this.#put(wire, key, instead());
    return "dropped";
  }

  #put(wire: Socket, key: string, frame: Buffer): void {
    if (this.#later === undefined) {
      this.#later = new Map();
      whenDrained(wire, () => this.#catchUp(wire));
    }
    this.#laterBytes += frame.length - (this.#later.get(key)?.length ?? 0);
    this.#later.delete(key);
    this.#later.set(key, frame);
  }

  #catchUp(wire: Socket): void {
    const later = this.#later;
    this.#later = undefined;
    this.#laterBytes = 0;
    if (later === undefined || this.readyState !== WebSocket.OPEN) return;
    wire.cork();
    for (const frame of later.values()) wire.write(frame);
    wire.uncork();
  }

  /** @internal Writes a reply. Who does not read the replies is not read either. */
  reply(text: string): void {
    if (this.readyState !== WebSocket.OPEN) return;
    this.send(text);
    const wire = this.#wire;
    const core = this.#core;
    if (core === undefined || wire === undefined || this.#isDeaf || wire.writableLength <= core.limits.maxBufferedBytes)
      return;
    this.#isDeaf = true;
    const pauses = !this.isPaused;
    if (pauses) this.pause();
    whenDrained(wire, () => {
      this.#isDeaf = false;
      if (this.#held !== undefined) this.#takeUp(this.#held);
      else if (pauses) this.resume();
    });
  }

  /** @internal What it asks for now is worked on: it has fewer than `maxCalls` open, and reads its replies. */
  get mayAsk(): boolean {
    return !this.#isDeaf && this.calls < (this.#core?.limits.maxCalls ?? 0);
  }

  /** @internal Keeps a message until a call has ended. */
  hold(data: Buffer, isBinary: boolean): void {
    if (this.#held === undefined) this.pause();
    (this.#held ??= []).push([data, isBinary]);
  }

  /** @internal A call has its reply. */
  ended(): void {
    this.calls--;
    if (this.#held !== undefined) this.#takeUp(this.#held);
    if (this.leaving && this.calls === 0) this.close(GOING_AWAY, "going away");
  }

  #takeUp(held: (readonly [Buffer, boolean])[]): void {
    const core = this.#core;
    if (core === undefined) return;
    while (!this.leaving && this.mayAsk) {
      const next = held.shift();
      if (next === undefined) break;
      core.message(this, ...next);
    }
    if (held.length > 0 || this.#isDeaf) return;
    this.#held = undefined;
    if (!this.#isDeaf) this.resume();
  }

  /** @internal Says goodbye as soon as it has its replies. */
  leave(): void {
    this.leaving = true;
    if (this.calls === 0) this.close(GOING_AWAY, "going away");
  }

  /** @internal Ends it when it gave no sign of life since the last look; asks for the next one. */
  look(): void {
    if (!this.alive && !this.isPaused) return this.terminate();
    this.alive = false;
    if (this.readyState === WebSocket.OPEN) this.#wire?.write(PING_FRAME);
  }
}

const NO_ROOMS: ReadonlySet<string> = new Set();

function whenDrained(wire: Socket, then: () => void): void {
  if (wire.writableNeedDrain) wire.once("drain", then);
  else process.nextTick(then);
}

function ignore(): void {}

function onMessage(this: WebSocket, data: unknown, isBinary: boolean): void {
  const socket = this as HubSocket; // the hub's server makes no others
  socket.alive = true;
  if (socket.allow()) socket.core?.message(socket, data as Buffer, isBinary); // `binaryType` is "nodebuffer"
}

function onPong(this: WebSocket): void {
  (this as HubSocket).alive = true;
}

function onClose(this: WebSocket, code: number): void {
  const socket = this as HubSocket;
  socket.core?.closed(socket, code);
}
