import type { HubSocket } from "./socket.ts";

const NO_MEMBERS: ReadonlySet<never> = new Set();

/** Who is in which room. */
export class Rooms<User> {
  readonly #members = new Map<string, Set<HubSocket<User>>>();

  /** Names of all rooms with members. */
  get names(): Iterable<string> {
    return this.#members.keys();
  }

  get size(): number {
    return this.#members.size;
  }

  members(room: string): ReadonlySet<HubSocket<User>> {
    return this.#members.get(room) ?? NO_MEMBERS;
  }

  /** False when it was in already. */
  join(socket: HubSocket<User>, room: string): boolean {
    const joined = (socket.joined ??= new Set());
    if (joined.has(room)) return false;
    joined.add(room);
    const members = this.#members.get(room);
    if (members === undefined) this.#members.set(room, new Set([socket]));
    else members.add(socket);
    return true;
  }

  /** False when it was not in. */
  leave(socket: HubSocket<User>, room: string): boolean {
    if (socket.joined?.delete(room) !== true) return false;
    const members = this.#members.get(room);
    members?.delete(socket);
    if (members?.size === 0) this.#members.delete(room);
    return true;
  }
}
