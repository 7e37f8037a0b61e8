/** A message that was published to a room. Its number counts all messages of its instance. */
export interface Entry {
  readonly origin: string;
  readonly number: number;
  readonly frame: Buffer;
}

/** Messages for one who comes back. */
export interface Replay {
  readonly entries: readonly Entry[];
  /** True when some that came in between are not here (any more). */
  readonly gap: boolean;
}

/** How far somebody has read: the last number of each instance. */
export type Reading = ReadonlyMap<string, number>;

interface Log {
  readonly entries: Entry[];
  /** Highest number of each instance that is not in the entries any more, or never was. */
  readonly gone: Map<string, number>;
}

/** Instances remembered; those that are gone make room. */
const MOST_INSTANCES = 256;

/** The last messages of each room, so that who comes back, to this instance or another, gets what came in between. */
export class History {
  readonly #size: number;
  readonly #maxRooms: number;
  readonly #logs = new Map<string, Log>();
  readonly #heard = new Map<string, number>();
  /** What is gone in rooms that have no log. */
  readonly #gone = new Map<string, number>();

  /**
   * @param size messages kept of each room; 0 keeps none.
   * @param maxRooms rooms kept; the one without a message for longest makes room.
   */
  constructor(size: number, maxRooms: number) {
    this.#size = size;
    this.#maxRooms = maxRooms;
  }

  /** Whether anything is kept. */
  get isOn(): boolean {
    return this.#size > 0;
  }

  /** How far this instance has read the others and itself. */
  get reading(): Reading {
    return this.#heard;
  }

  /** Notes that an instance has come to that number. False when numbers in between are missing. */
  hear(origin: string, number: number): boolean {
    const before = this.#heard.get(origin);
    this.#heard.delete(origin);
    this.#heard.set(origin, number);
    if (this.#heard.size > MOST_INSTANCES) this.#forgetInstance();
    if (number === (before ?? 0) + 1) return true;
    this.#miss(origin, number - 1);
    return before === undefined;
  }

  /** Notes that an instance had come to that number before we heard it. */
  meet(origin: string, number: number): void {
    if (this.#heard.has(origin)) return;
    this.#heard.set(origin, number);
    this.#miss(origin, number);
  }

  #miss(origin: string, upTo: number): void {
    raise(this.#gone, origin, upTo);
    for (const { gone } of this.#logs.values()) raise(gone, origin, upTo);
  }

  #forgetInstance(): void {
    for (const [origin] of this.#heard) {
      this.#heard.delete(origin);
      this.#gone.delete(origin);
      return;
    }
  }

  add(room: string, entry: Entry): void {
    if (this.#size === 0) return;
    const log = this.#logs.get(room) ?? { entries: [], gone: new Map(this.#gone) };
    this.#logs.delete(room);
    this.#logs.set(room, log);
    log.entries.push(entry);
    const first = log.entries.length > this.#size ? log.entries.shift() : undefined;
    if (first !== undefined) raise(log.gone, first.origin, first.number);
    if (this.#logs.size > this.#maxRooms) this.#forgetRoom();
  }

  #forgetRoom(): void {
    for (const [room, { entries, gone }] of this.#logs) {
      for (const [origin, number] of gone) raise(this.#gone, origin, number);
      for (const { origin, number } of entries) raise(this.#gone, origin, number);
      this.#logs.delete(room);
      return;
    }
  }

  /** What came after that reading. */
  after(room: string, read: Reading): Replay {
    if (this.#size === 0) return { entries: [], gap: true };
    const { entries, gone } = this.#logs.get(room) ?? { entries: [], gone: this.#gone };
    const isBehind = [...read].some(([origin, number]) => (this.#heard.get(origin) ?? -1) < number);
    const isLate = [...gone].some(([origin, number]) => number > (read.get(origin) ?? 0));
    return {
      entries: entries.filter(({ origin, number }) => number > (read.get(origin) ?? 0)),
      gap: isBehind || isLate,
    };
  }

  clear(): void {
    for (const map of [this.#logs, this.#heard, this.#gone]) map.clear();
  }
}

function raise(numbers: Map<string, number>, origin: string, number: number): void {
  if (number > (numbers.get(origin) ?? 0)) numbers.set(origin, number);
}

/** What a client says of how far it has read. */
export function readingOf(given: unknown): Reading {
  if (typeof given !== "object" || given === null) return new Map();
  return new Map(Object.entries(given).filter((entry): entry is [string, number] => typeof entry[1] === "number"));
}
