import { isStewardError } from "@steward/core";
import { assertShape, func, required, shape, text } from "@steward/core/driver";
import { beginsWith, parseObject } from "../wire/protocol.ts";
import { isolated } from "../wire/uncaught.ts";
import type { Request } from "./messages/uses.ts";

/** A message of a room. */
export interface RoomMessage<T = unknown> {
  readonly room: string;
  /** Names it; the part before the last dash is the instance that published it. */
  readonly id: string;
  readonly data: T;
}

/** Hears what is published to a room. */
export type RoomListener = (message: RoomMessage) => void;

interface Room {
  readonly listeners: Set<RoomListener>;
  /** Settles with the first join. */
  joining: Promise<unknown>;
  /** The last number seen of each instance, the one heard last at the end. */
  readonly after: Map<string, number>;
}

/** Instances remembered per room: those that are gone make room. */
const MOST_INSTANCES = 256;

/** Receives what happens to rooms. */
export interface RoomOwner {
  /** Messages of it are lost. */
  readonly gap: (room: string) => void;
  /** The hub no longer lets us in. */
  readonly expelled: (room: string, error: unknown) => void;
  /** A message says which trace it was published in. */
  readonly traced: (traceContext: string, room: string, work: () => void) => void;
}

/** How rooms reach the hub. */
export type Ask = (request: Request) => Promise<unknown>;

const joinShape = shape<{ readonly room: string; readonly listener: RoomListener }>(() => ({
  room: required(text(true)),
  listener: required(func()),
}));

/**
 * Refuses what cannot be joined, or could hear nothing.
 * @throws {OPTIONS_INVALID} listing every problem.
 */
export function checkJoin(owner: string, room: unknown, listener: unknown): void {
  assertShape(owner, joinShape, { room, listener });
}

/** What a hub answers to a join, behind what it replays: whether something is missing, and how far that was. */
function answerOf(given: unknown): { readonly gap: boolean; readonly at: readonly (readonly [string, unknown])[] } {
  if (typeof given !== "object" || given === null) return { gap: false, at: [] };
  const at = "at" in given && typeof given.at === "object" && given.at !== null ? Object.entries(given.at) : [];
  return { gap: "gap" in given && given.gap === true, at };
}

/** The rooms of a hub that a session has joined, and how far it has read each, so that it can go on after a reconnect. */
export class RoomBook {
  readonly #rooms = new Map<string, Room>();
  readonly #owner: RoomOwner;

  constructor(owner: RoomOwner) {
    this.#owner = owner;
  }

  get size(): number {
    return this.#rooms.size;
  }

  async join(name: string, listener: RoomListener, ask: Ask): Promise<() => Promise<void>> {
    const entry: RoomListener = (message) => listener(message);
    const room = this.#rooms.get(name) ?? this.#begin(name, ask);
    room.listeners.add(entry);
    try {
      await room.joining;
    } catch (error) {
      this.#leave(name, entry);
      throw error;
    }
    return async () => {
      if (this.#leave(name, entry)) await ask({ verb: "leave", room: name }).catch(ignoreDisconnect);
    };
  }

  #begin(name: string, ask: Ask): Room {
    const room: Room = { listeners: new Set(), after: new Map(), joining: Promise.resolve() };
    this.#rooms.set(name, room);
    room.joining = ask({ verb: "join", room: name, after: undefined }).then((answer) => this.#joined(room, answer));
    return room;
  }

  /** True when the room has no listener any more. */
  #leave(name: string, entry: RoomListener): boolean {
    const room = this.#rooms.get(name);
    if (room?.listeners.delete(entry) !== true || room.listeners.size > 0) return false;
    return this.#rooms.delete(name);
  }

  /** Joins them anew on another connection, from where each was read to. */
  async resume(ask: Ask): Promise<void> {
    await Promise.all([...this.#rooms].map(([name, room]) => this.#rejoin(name, room, ask)));
  }

  async #rejoin(name: string, room: Room, ask: Ask): Promise<void> {
    try {
      const after = Object.fromEntries(room.after);
      if (this.#joined(room, await ask({ verb: "join", room: name, after }))) this.#owner.gap(name);
    } catch (error) {
      if (!isStewardError(error, "WEBSOCKET_CALL_FAILED")) throw error;
      this.#rooms.delete(name);
      this.#owner.expelled(name, error);
    }
  }

  /** Notes how far the hub was. True when it says that something is missing. */
  #joined(room: Room, answer: unknown): boolean {
    const { gap, at } = answerOf(answer);
    for (const [origin, number] of at)
      if (typeof number === "number" && number >= (room.after.get(origin) ?? 0)) remember(room.after, origin, number);
    return gap;
  }

  /** Takes a message when it belongs to one of the rooms. */
  take(data: Buffer): boolean {
    if (beginsWith(data, "gap")) return this.#takeGap(data);
    if (!beginsWith(data, "room")) return false;
    const { room: name, id, data: value, trace } = parseObject(data) ?? {};
    const room = typeof name === "string" ? this.#rooms.get(name) : undefined;
    if (room === undefined || typeof name !== "string" || typeof id !== "string") return false;
    const dash = id.lastIndexOf("-");
    const [origin, number] = [id.slice(0, dash), Number(id.slice(dash + 1))];
    if (number <= (room.after.get(origin) ?? 0)) return true;
    remember(room.after, origin, number);
    const hand = (): void => {
      // One that throws keeps the message from no other.
      for (const listener of room.listeners) isolated(() => listener({ room: name, id, data: value }));
    };
    if (typeof trace === "string") this.#owner.traced(trace, name, hand);
    else hand();
    return true;
  }

  #takeGap(data: Buffer): boolean {
    const name = parseObject(data)?.["gap"];
    if (typeof name !== "string" || !this.#rooms.has(name)) return false;
    this.#owner.gap(name);
    return true;
  }
}

function remember(after: Map<string, number>, origin: string, number: number): void {
  after.delete(origin);
  after.set(origin, number);
  for (const [oldest] of after) {
    if (after.size <= MOST_INSTANCES) return;
    after.delete(oldest);
  }
}

/** Who is not connected has left already: the next connection does not join. */
function ignoreDisconnect(error: unknown): void {
  if (!isStewardError(error, "WEBSOCKET_DISCONNECTED") && !isStewardError(error, "OUTCOME_UNKNOWN")) throw error;
}
