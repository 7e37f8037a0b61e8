import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "@steward/core";
import { heardCall, publishServing } from "@steward/core/driver";
import { messageAbout } from "../wire/about.ts";
import { json, type Payload } from "../wire/protocol.ts";
import { uncaught } from "../wire/uncaught.ts";
import { dismiss } from "./dismissal.ts";
import { attach, type UpgradeServer } from "./upgrades.ts";
import { Entrance } from "./entrance.ts";
import { Fanout, type Relayed } from "./fanout.ts";
import { gapFrame, prepared } from "./frames.ts";
import { History, readingOf } from "./history.ts";
import type { HubPlan } from "./options.ts";
import { Presence, type PresenceChange } from "./presence.ts";
import { Requests } from "./requests.ts";
import { Rooms } from "./rooms.ts";
import type { Delivery, HubSocket, SocketLimits } from "./socket.ts";

/** Events of a hub. */
export interface HubEvents<User> {
  /** Somebody came in. */
  connection: [socket: HubSocket<User>, request: IncomingMessage];
  /** A message that is no call. */
  message: [socket: HubSocket<User>, data: Buffer, isBinary: boolean];
  close: [socket: HubSocket<User>, code: number];
  /** Somebody was not let in. */
  refused: [status: number, request: IncomingMessage, error: unknown];
  /** `call` or `authorize` failed; its caller reads only the public part of the error. */
  failure: [error: unknown, socket: HubSocket<User>];
  presence: [change: PresenceChange];
  /** Messages of other instances were lost; all rooms have been notified. */
  gap: [];
}

/** How a message is handed out. */
export interface BroadcastOptions<User> {
  /** Only to that room. Default: to all sockets of this instance. */
  readonly room?: string | undefined;
  /** With `coalesce`, what a newer message replaces. Default: the room. */
  readonly key?: string | undefined;
  /** Not to that one. */
  readonly except?: HubSocket<User> | undefined;
}

/** Counts of a hub since it was made. */
interface Counts {
  received: number;
  sent: number;
  dropped: number;
  coalesced: number;
  slow: number;
  limited: number;
  refused: number;
  gaps: number;
  /** Messages that were no request, and that had no listener. */
  unrecognized: number;
}

/** All sockets of an HTTP server, in rooms that reach over all instances. */
export class WebSocketHub<User = unknown> extends EventEmitter<HubEvents<User>> {
  // It is a HubCore, and does not say so: what a socket calls is internal, and not in the declaration.
  /** @internal */
  readonly clock: Clock;
  /** @internal */
  readonly limits: SocketLimits;
  readonly #plan: HubPlan<User>;
  readonly #entrance: Entrance<User>;
  readonly #requests: Requests<User>;
  readonly #sockets = new Set<HubSocket<User>>();
  readonly #rooms = new Rooms<User>();
  readonly #history: History;
  readonly #presence: Presence;
  readonly #counts: Counts = {
    received: 0,
    sent: 0,
    dropped: 0,
    coalesced: 0,
    slow: 0,
    limited: 0,
    refused: 0,
    gaps: 0,
    unrecognized: 0,
  };
  #fanout: Fanout | undefined;
  #instance = "";
  #isDismissed = false;
  #number = 0;
  #entered = 0;

  constructor(plan: HubPlan<User>) {
    super();
    const { clock, settings, refusal } = plan;
    this.#plan = plan;
    this.clock = clock;
    this.limits = settings;
    this.#history = new History(settings.historySize, settings.historyRooms);
    this.#presence = new Presence(settings.presenceMs, {
      now: () => clock.now(),
      announce: (note) => void this.#fanout?.note({ presence: note }).catch(() => this.#counts.gaps++),
      changed: (change) => void announce(this, "presence", [change]),
    });
    this.#requests = new Requests(plan, {
      joined: (socket, room, after) => {
        this.join(socket, room);
        return this.#replay(socket, room, after);
      },
      left: (socket, room) => this.leave(socket, room),
      message: (socket, data, isBinary) =>
        announce(this, "message", [socket, data, isBinary], () => socket.terminate()),
      failed: (error, socket) => void announce(this, "failure", [error, socket]),
      limited: () => this.limited(),
      unrecognized: () => void this.#counts.unrecognized++,
    });
    this.#entrance = new Entrance(settings, {
      clock,
      isOpen: () => !this.#isDismissed && refusal() === undefined,
      size: () => this.#sockets.size,
      entered: (socket, wire, user, request) => this.#enter(socket, wire, user, request),
      refused: (status, request, error) => {
        this.#counts.refused++;
        announce(this, "refused", [status, request, error]);
      },
    });
  }

  /** The sockets of this instance. */
  get sockets(): ReadonlySet<HubSocket<User>> {
    return this.#sockets;
  }

  /** The sockets of this instance in a room. */
  room(name: string): ReadonlySet<HubSocket<User>> {
    return this.#rooms.members(name);
  }

  /** Takes the upgrades of a server, at the path of the options, until the returned function is called. */
  attach(server: UpgradeServer): () => void {
    return attach(server, this.#entrance);
  }

  /**
   * Accepts no more clients, and closes each socket with 1001 at a moment of its own within `drainSpreadMs`, once it
   * has its replies. A drain does that too; call it where the HTTP server ends before the hub is drained, for a server
   * waits for its sockets: `app.addHook("preClose", () => hub.dismiss())`.
   *
   * @param timeoutMs How long replies are waited for. Default 10,000.
   */
  async dismiss(timeoutMs = 10_000): Promise<void> {
    const abort = new AbortController();
    const timer = this.clock.setTimeout(() => abort.abort(), timeoutMs);
    await this.sendAway(abort.signal);
    timer.cancel();
  }

  /** @internal */
  sendAway(signal: AbortSignal): Promise<void> {
    this.#isDismissed = true;
    this.#entrance.turnAway();
    return dismiss([...this.#sockets], this.clock, this.#plan.settings.drainSpreadMs, signal);
  }

  /** Takes one upgrade, for servers that route upgrades themselves. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#entrance.upgrade(request, socket, head);
  }

  #enter(socket: HubSocket<User>, wire: Socket, user: User | undefined, request: IncomingMessage): void {
    socket.adopt(this, wire, ++this.#entered, user);
    this.#sockets.add(socket);
    publishServing(this.#plan.resource);
    announce(this, "connection", [socket, request]);
  }

  /** @internal */
  closed(given: HubSocket, code: number): void {
    const socket = given as HubSocket<User>; // it was adopted by this hub
    this.#sockets.delete(socket);
    for (const room of socket.rooms) this.leave(socket, room);
    announce(this, "close", [socket, code]);
  }

  /** @internal */
  limited(): void {
    this.#counts.limited++;
  }

  /** Puts a socket into a room. Does nothing when it is in. */
  join(socket: HubSocket<User>, room: string): void {
    if (socket.readyState !== socket.OPEN || !this.#rooms.join(socket, room)) return;
    const identity = this.#plan.settings.identify?.(socket);
    if (identity !== undefined) this.#presence.enter(room, identity);
  }

  /** Takes a socket out of a room. Does nothing when it is not in. */
  leave(socket: HubSocket<User>, room: string): void {
    if (!this.#rooms.leave(socket, room)) return;
    const identity = this.#plan.settings.identify?.(socket);
    if (identity !== undefined) this.#presence.leave(room, identity);
  }

  /** Who is in a room, on all instances: the names that `identify` gives, each once, in order. */
  presence(room: string): readonly string[] {
    return this.#presence.in(room);
  }

  /**
   * Sends a JSON value to everybody in a room, on all instances, as `{"room":...,"id":...,"data":...}`. It is kept for
   * those who come back. Resolves when the broker has taken it; the sockets of this instance have it before.
   *
   * @throws {RESOURCE_UNAVAILABLE} while the hub is not ready.
   */
  async publish(room: string, data: unknown, options: { readonly key?: string | undefined } = {}): Promise<void> {
    this.#demandReady();
    const { resource, clock } = this.#plan;
    await heardCall({ resource, clock, operation: "send", about: messageAbout("send", room) }, (traceContext) => {
      const number = ++this.#number;
      const trace = this.#plan.settings.trace && traceContext !== undefined ? `,"trace":${json(traceContext)}` : "";
      const text = `{"room":${json(room)},"id":"${this.#instance}-${number}","data":${json(data)}${trace}}`;
      this.#hand(room, this.#instance, number, text, options.key);
      return this.#fanout?.publish(number, room, text);
    });
  }

  #demandReady(): void {
    const why = this.#plan.refusal();
    if (why !== undefined) throw why;
  }

  /** Keeps a message and hands it to the members here. True when none is missing before it. */
  #hand(room: string, origin: string, number: number, text: string, key = room): boolean {
    const isNext = this.#history.hear(origin, number);
    const members = this.#rooms.members(room);
    if (members.size === 0 && !this.#history.isOn) return isNext;
    const frame = prepared(text);
    this.#history.add(room, { origin, number, frame });
    for (const socket of members) this.#count(socket.deliver(frame, key, () => gapFrame(room)));
    return isNext;
  }

  #count(delivery: Delivery): void {
    if (delivery === "closed") this.#counts.slow++;
    else if (delivery !== "gone") this.#counts[delivery]++;
  }

  /**
   * Sends bytes or text as they are to the sockets of this instance, serialized once for all of them. They are not
   * kept, and do not reach other instances: see {@link publish}. Gives how many got it.
   *
   * @throws {RESOURCE_UNAVAILABLE} while the hub is not ready.
   */
  broadcast(data: Payload, { room, key = room, except }: BroadcastOptions<User> = {}): number {
    this.#demandReady();
    const frame = prepared(data);
    const { sent } = this.#counts;
    for (const socket of room === undefined ? this.#sockets : this.#rooms.members(room))
      if (socket !== except) this.#count(socket.deliver(frame, key));
    return this.#counts.sent - sent;
  }

  /** @internal */
  message(given: HubSocket, data: Buffer, isBinary: boolean): void {
    const socket = given as HubSocket<User>; // it was adopted by this hub
    // A chunk may hold more than is worked on at once, and pausing does not stop what has arrived.
    if (!socket.mayAsk) return socket.hold(data, isBinary);
    this.#counts.received++;
    this.#requests.take(socket, data, isBinary);
  }

  /** What came in between for one who comes back, and how far this instance has read. */
  #replay(socket: HubSocket<User>, room: string, after: unknown): unknown {
    const replay = this.#history.after(room, readingOf(after));
    if (after !== undefined)
      for (const { frame } of replay.entries) this.#count(socket.deliver(frame, room, () => gapFrame(room)));
    return { gap: after !== undefined && replay.gap, at: Object.fromEntries(this.#history.reading) };
  }

  /** @internal */
  get instance(): string {
    return this.#instance;
  }

  /** @internal Begins anew: without clients and without messages. */
  async open(): Promise<void> {
    const { pubSub, topic } = this.#plan.settings;
    this.#instance = randomBytes(6).toString("hex");
    this.#number = 0;
    this.#isDismissed = false;
    this.#history.clear();
    this.#history.meet(this.#instance, 0);
    if (pubSub === undefined) return;
    this.#fanout = new Fanout(pubSub, topic, this.#instance, {
      relayed: (message) => this.#relayed(message),
      noted: (origin, note) => this.#noted(origin, note),
      gap: () => this.#gap(),
    });
    await this.#fanout.open();
    await this.#fanout.note({ hello: true, at: 0, presence: { ask: true } });
  }

  #relayed({ room, origin, number, text }: Relayed): void {
    if (!this.#hand(room, origin, number, text)) this.#gap();
  }

  #noted(origin: string, note: unknown): void {
    if (typeof note !== "object" || note === null) return;
    if ("at" in note && typeof note.at === "number") {
      this.#history.meet(origin, note.at);
      if ("hello" in note) void this.#fanout?.note({ at: this.#number }).catch(() => this.#counts.gaps++);
    }
    if ("presence" in note) this.#presence.hear(origin, note.presence);
  }

  /** It is not known which rooms lost something, so all are notified. */
  #gap(): void {
    this.#counts.gaps++;
    for (const room of this.#rooms.names) {
      const frame = gapFrame(room);
      for (const socket of this.#rooms.members(room)) this.#count(socket.deliver(frame, room));
    }
    announce(this, "gap", []);
  }

  /** @internal One look at a part of the sockets. */
  look(part: number, parts: number): void {
    for (const socket of this.#sockets) if (socket.number % parts === part) socket.look();
  }

  /** @internal */
  refreshPresence(): void {
    if (this.#plan.settings.identify !== undefined) this.#presence.refresh();
  }

  /** @internal A round trip through the broker, where there is one. */
  async ping(): Promise<void> {
    await this.#fanout?.echo();
  }

  /** @internal */
  async close(): Promise<void> {
    this.#entrance.turnAway();
    const fanout = this.#fanout;
    await fanout?.note({ presence: { bye: true } }).catch(() => {});
    this.#fanout = undefined;
    await fanout?.close();
    this.#presence.clear();
  }

  /** @internal The current numbers. */
  measure(): Readonly<Record<string, number>> {
    const { pending } = this.#entrance;
    return Object.freeze({
      sockets: this.#sockets.size,
      max: this.#plan.settings.maxSockets,
      pending,
      rooms: this.#rooms.size,
      ...this.#counts,
    });
  }
}

/** Emits an event. */
function announce<User, Event extends keyof HubEvents<User>>(
  from: EventEmitter<HubEvents<User>>,
  event: Event,
  args: HubEvents<User>[Event],
  onThrow?: () => void,
): boolean {
  try {
    return (from as EventEmitter).emit(event, ...args); // the arguments are those of the event
  } catch (error) {
    uncaught(error);
    onThrow?.();
    return true;
  }
}
