/** Somebody came into a room, or has left it, wherever their sockets are. */
export interface PresenceChange {
  readonly room: string;
  readonly identity: string;
  readonly here: boolean;
}

/** What instances announce to each other about who is where. */
type Note =
  | { readonly room: string; readonly identity: string; readonly here: boolean }
  | { readonly all: Readonly<Record<string, readonly string[]>> }
  | { readonly ask: true }
  | { readonly bye: true };

interface Elsewhere {
  heardAt: number;
  readonly rooms: Map<string, Set<string>>;
}

/** What presence needs of its hub. */
export interface PresenceOwner {
  readonly now: () => number;
  /** Announces to the other instances. */
  readonly announce: (note: Note) => void;
  readonly changed: (change: PresenceChange) => void;
}

/** Snapshots after which an instance that announces nothing more counts as gone. */
const MISSED = 3;

/** Who is in which room, on this instance and the others. An instance that vanishes is forgotten after three intervals. */
export class Presence {
  readonly #owner: PresenceOwner;
  readonly #intervalMs: number;
  /** How many sockets an identity has in a room here. */
  readonly #here = new Map<string, Map<string, number>>();
  readonly #elsewhere = new Map<string, Elsewhere>();

  constructor(intervalMs: number, owner: PresenceOwner) {
    this.#intervalMs = intervalMs;
    this.#owner = owner;
  }

  /** Who is in a room, each once, in order. */
  in(room: string): readonly string[] {
    const all = new Set(this.#here.get(room)?.keys());
    for (const { rooms } of this.#elsewhere.values()) for (const identity of rooms.get(room) ?? []) all.add(identity);
    return [...all].sort();
  }

  enter(room: string, identity: string): void {
    const counts = this.#here.get(room) ?? new Map<string, number>();
    this.#here.set(room, counts);
    const count = counts.get(identity) ?? 0;
    const isNew = count === 0 && !this.#isElsewhere(room, identity);
    counts.set(identity, count + 1);
    if (count === 0) this.#owner.announce({ room, identity, here: true });
    if (isNew) this.#owner.changed({ room, identity, here: true });
  }

  leave(room: string, identity: string): void {
    const counts = this.#here.get(room);
    const count = counts?.get(identity) ?? 0;
    if (counts === undefined || count === 0) return;
    if (count > 1) return void counts.set(identity, count - 1);
    counts.delete(identity);
    if (counts.size === 0) this.#here.delete(room);
    this.#owner.announce({ room, identity, here: false });
    if (!this.#isElsewhere(room, identity)) this.#owner.changed({ room, identity, here: false });
  }

  #isElsewhere(room: string, identity: string): boolean {
    for (const { rooms } of this.#elsewhere.values()) if (rooms.get(room)?.has(identity) === true) return true;
    return false;
  }

  #isAnywhere(room: string, identity: string): boolean {
    return this.#here.get(room)?.has(identity) === true || this.#isElsewhere(room, identity);
  }

  /** Says who is here, and forgets instances that said nothing for long. */
  refresh(): void {
    this.#owner.announce({
      all: Object.fromEntries([...this.#here].map(([room, counts]) => [room, [...counts.keys()]])),
    });
    const oldest = this.#owner.now() - MISSED * this.#intervalMs;
    for (const [origin, { heardAt }] of this.#elsewhere) if (heardAt < oldest) this.#replace(origin, undefined);
  }

  /** What another instance reported. */
  hear(origin: string, given: unknown): void {
    if (typeof given !== "object" || given === null) return;
    const note = given as Note; // only hubs write to the topic
    if ("ask" in note) this.refresh();
    else if ("bye" in note) this.#replace(origin, undefined);
    else if ("all" in note)
      this.#replace(origin, new Map(Object.entries(note.all).map(([room, list]) => [room, new Set(list)])));
    else if ("identity" in note) this.#one(origin, note);
  }

  #one(origin: string, { room, identity, here }: PresenceChange): void {
    const known = this.#elsewhere.get(origin) ?? { heardAt: 0, rooms: new Map<string, Set<string>>() };
    this.#elsewhere.set(origin, known);
    known.heardAt = this.#owner.now();
    const before = this.#isAnywhere(room, identity);
    const list = known.rooms.get(room) ?? new Set();
    if (here) known.rooms.set(room, list.add(identity));
    else if (list.delete(identity) && list.size === 0) known.rooms.delete(room);
    if (this.#isAnywhere(room, identity) !== before) this.#owner.changed({ room, identity, here });
  }

  /** Another instance's rooms are these now; `undefined`: it is gone. */
  #replace(origin: string, rooms: Map<string, Set<string>> | undefined): void {
    const before = this.#elsewhere.get(origin)?.rooms ?? new Map<string, Set<string>>();
    const was = pairs(before).filter(([room, identity]) => rooms?.get(room)?.has(identity) !== true);
    const fresh = pairs(rooms ?? new Map()).filter(([room, identity]) => !this.#isAnywhere(room, identity));
    if (rooms === undefined) this.#elsewhere.delete(origin);
    else this.#elsewhere.set(origin, { heardAt: this.#owner.now(), rooms });
    for (const [room, identity] of was)
      if (!this.#isAnywhere(room, identity)) this.#owner.changed({ room, identity, here: false });
    for (const [room, identity] of fresh) this.#owner.changed({ room, identity, here: true });
  }

  clear(): void {
    this.#here.clear();
    this.#elsewhere.clear();
  }
}

function pairs(rooms: ReadonlyMap<string, ReadonlySet<string>>): (readonly [string, string])[] {
  return [...rooms].flatMap(([room, list]) => [...list].map((identity) => [room, identity] as const));
}
