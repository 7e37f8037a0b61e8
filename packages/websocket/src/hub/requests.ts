import { publicError, StewardError } from "@steward/core";
import { stewardErrorIn } from "@steward/core/driver";
import { beginsWith, json, parseObject } from "../wire/protocol.ts";
import type { HubPlan } from "./options.ts";
import type { HubSocket } from "./socket.ts";

/** What a hub does with what its clients ask for. */
export interface RequestsOwner<User> {
  /** Puts the socket into the room, in one turn with what it is sent of the past. Gives the reply. */
  readonly joined: (socket: HubSocket<User>, room: string, after: unknown) => unknown;
  readonly left: (socket: HubSocket<User>, room: string) => void;
  /** A message that is no request. False when there is no listener. */
  readonly message: (socket: HubSocket<User>, data: Buffer, isBinary: boolean) => boolean;
  /** A handler failed; its caller reads only the public part of the error. */
  readonly failed: (error: unknown, socket: HubSocket<User>) => void;
  /** A client asked for more than it may have. */
  readonly limited: () => void;
  /** A message that is no request came, and there is no listener for messages. */
  readonly unrecognized: () => void;
}

/** Answers what clients of a hub ask for: calls, and rooms to join or leave. */
export class Requests<User> {
  readonly #plan: HubPlan<User>;
  readonly #owner: RequestsOwner<User>;

  constructor(plan: HubPlan<User>, owner: RequestsOwner<User>) {
    this.#plan = plan;
    this.#owner = owner;
  }

  /** Takes one message of a socket. */
  take(socket: HubSocket<User>, data: Buffer, isBinary: boolean): void {
    const request = isBinary || !beginsWith(data, "id") ? undefined : parseObject(data);
    const id = request?.["id"];
    if (request === undefined || typeof id !== "number") return void this.#pass(socket, data, isBinary);
    const work = this.#workOf(socket, id, request);
    if (work !== undefined) void this.#answer(socket, id, work);
    else if (!this.#pass(socket, data, isBinary)) void this.#answer(socket, id, () => this.#demandVerb());
  }

  /** Hands on what is no request. False when it had no listener. */
  #pass(socket: HubSocket<User>, data: Buffer, isBinary: boolean): boolean {
    if (this.#owner.message(socket, data, isBinary)) return true;
    this.#owner.unrecognized();
    return false;
  }

  #workOf(
    socket: HubSocket<User>,
    id: number,
    request: Readonly<Record<string, unknown>>,
  ): (() => unknown) | undefined {
    const { join, leave } = request;
    if (typeof join === "string") return () => this.#join(socket, join, request["after"]);
    if (typeof leave === "string") return () => this.#owner.left(socket, leave);
    return "call" in request ? () => this.#call(socket, id, request["call"]) : undefined;
  }

  async #answer(socket: HubSocket<User>, id: number, work: () => unknown): Promise<void> {
    socket.calls++;
    try {
      const value = await work();
      socket.reply(`{"id":${id},"ok":${json(value)}}`);
    } catch (error) {
      socket.reply(`{"id":${id},"error":${json(publicError(error))}}`);
      if (stewardErrorIn(error)?.publicMessage === undefined) this.#owner.failed(error, socket);
    } finally {
      socket.ended();
    }
  }

  #call(socket: HubSocket<User>, id: number, body: unknown): unknown {
    const { call } = this.#plan.settings;
    if (call === undefined)
      throw this.#refusal("WEBSOCKET_REFUSED", "it has no option call", "this service takes no calls");
    return call(body, { socket, user: socket.user, ack: () => socket.reply(`{"id":${id},"ack":true}`) });
  }

  async #join(socket: HubSocket<User>, room: string, after: unknown): Promise<unknown> {
    const { authorize, maxRooms, maxRoomNameBytes } = this.#plan.settings;
    if (Buffer.byteLength(room) > maxRoomNameBytes)
      throw this.#tooMuch(`the name of a room may have ${maxRoomNameBytes} bytes`);
    const allowed = (await authorize?.(room, socket)) ?? false;
    if (!allowed) throw this.#refusal("WEBSOCKET_REFUSED", "authorize did not let it in", "you may not join this room");
    if (!socket.rooms.has(room) && socket.rooms.size >= maxRooms)
      throw this.#tooMuch(`a connection may be in ${maxRooms} rooms`);
    // From here to the reply nothing waits, so no message comes in between.
    return this.#owner.joined(socket, room, after);
  }

  #tooMuch(bound: string): StewardError {
    this.#owner.limited();
    return this.#refusal("WEBSOCKET_LIMIT", bound, bound);
  }

  #demandVerb(): never {
    throw this.#refusal("WEBSOCKET_MALFORMED", "a request without a verb", "a request has call, join or leave");
  }

  #refusal(
    code: "WEBSOCKET_REFUSED" | "WEBSOCKET_LIMIT" | "WEBSOCKET_MALFORMED",
    why: string,
    publicMessage: string,
  ): StewardError {
    const { resource } = this.#plan;
    return new StewardError(code, `${resource}: ${why}`, { resource, publicMessage });
  }
}
