import { subscribe, unsubscribe } from "node:diagnostics_channel";
import {
  CHANNELS,
  type BackgroundEvent,
  type BreakerEvent,
  type Clock,
  type HealthEvent,
  type RestartEvent,
  type ShutdownEvent,
  type StateEvent,
} from "@steward/core";
import { describeError } from "@steward/core/driver";

interface Events {
  readonly state: StateEvent;
  readonly health: HealthEvent;
  readonly breaker: BreakerEvent;
  readonly restart: RestartEvent;
  readonly background: BackgroundEvent;
  readonly shutdown: ShutdownEvent;
}

/** What a line of the journal is about. */
export type JournalKind = keyof Events;

/** A line of the journal. Equal ones in a row are one line with a count; a change is never left out. */
export interface JournalEntry {
  /** Which line it is. A line that comes again as another one repeats keeps it. */
  readonly key: number;
  /** Order of all changes of the journal; of a line that repeats, that of its last time. */
  readonly sequence: number;
  /** When it happened first, in ms since 1970. */
  readonly at: number;
  /** When it happened last, in ms since 1970. */
  readonly lastAt: number;
  readonly count: number;
  readonly kind: JournalKind;
  /** The resource; `undefined` for a shutdown, which is of the container. */
  readonly resource: string | undefined;
  /** The container, where the event says it. */
  readonly container: string | undefined;
  /** What it was before: a phase, a status, or the state of a breaker. */
  readonly from: string | undefined;
  /** What it is since. */
  readonly to: string;
  /** Why, for operators. */
  readonly reason: string | undefined;
}

type Fact = Pick<JournalEntry, "resource" | "container" | "from" | "to" | "reason">;

/** Most characters of a reason: every viewer gets all lines. */
const MOST_REASON = 1_000;

/** Text for a line, without the rest of one that is too long. */
export function short(text: string, most: number = MOST_REASON): string {
  return text.length <= most ? text : `${text.slice(0, most)}...`;
}

const because = (error: unknown): string | undefined => (error === undefined ? undefined : describeError(error));

const FACTS: { readonly [K in JournalKind]: (event: Events[K]) => Fact } = {
  state: ({ resource, from, to, error }) => ({ resource, container: undefined, from, to, reason: because(error) }),
  health: ({ resource, container, from, to, reason }) => ({ resource, container, from, to, reason }),
  breaker: ({ resource, subject, from, to, reason }) => ({
    resource,
    container: undefined,
    from,
    to,
    reason: subject === resource ? reason : `${subject}: ${reason}`,
  }),
  restart: ({ resource, container, step, error }) => ({
    resource,
    container,
    from: undefined,
    to: step,
    reason: because(error),
  }),
  background: ({ resource, container, error, againInMs }) => ({
    resource,
    container,
    from: undefined,
    to: againInMs === undefined ? "ended" : "runs again",
    reason: because(error),
  }),
  shutdown: ({ container, phase, error }) => ({
    resource: undefined,
    container,
    from: undefined,
    to: phase,
    reason: because(error),
  }),
};

const KINDS: readonly JournalKind[] = ["state", "health", "breaker", "restart", "background", "shutdown"];

/** The last changes of resources, from rare events alone. */
export class Journal {
  readonly #clock: Clock;
  readonly #size: number;
  readonly #heard: { readonly channel: string; readonly listener: (event: unknown) => void }[] = [];
  readonly #listeners = new Set<(entry: JournalEntry) => void>();
  #entries: JournalEntry[] = [];
  #sequence = 0;

  constructor(clock: Clock, size: number) {
    this.#clock = clock;
    this.#size = size;
  }

  /** The sequence of the last change; 0 where there was none. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Begins to listen. Does nothing where it does. */
  open(): void {
    if (this.#heard.length === 0) for (const kind of KINDS) this.#hear(kind);
  }

  close(): void {
    for (const { channel, listener } of this.#heard.splice(0)) unsubscribe(channel, listener);
  }

  /** Calls a listener with every line from here on; the result ends that. */
  onEntry(listener: (entry: JournalEntry) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** All lines, the oldest first. */
  entries(): readonly JournalEntry[] {
    return this.#entries;
  }

  /** The lines that came after a change; `undefined` where some of them are gone already. */
  since(sequence: number): readonly JournalEntry[] | undefined {
    const [first] = this.#entries;
    const isKept = sequence <= this.#sequence && (first === undefined || sequence >= first.sequence - 1);
    return isKept ? this.#entries.filter((entry) => entry.sequence > sequence) : undefined;
  }

  /** The resources whose start failed last, with the reasons. */
  failures(): ReadonlyMap<string, string | undefined> {
    const failed = new Map<string, string | undefined>();
    for (const { kind, resource, to, reason } of this.#entries) {
      if (kind !== "state" || resource === undefined) continue;
      if (to === "failed") failed.set(resource, reason);
      else if (to === "starting") failed.delete(resource);
    }
    return failed;
  }

  #hear<K extends JournalKind>(kind: K): void {
    const listener = (event: unknown): void => this.#add(kind, FACTS[kind](event as Events[K])); // what core publishes there
    this.#heard.push({ channel: CHANNELS[kind], listener });
    subscribe(CHANNELS[kind], listener);
  }

  #add(kind: JournalKind, fact: Fact): void {
    if (fact.reason !== undefined && fact.reason.length > MOST_REASON) fact = { ...fact, reason: short(fact.reason) };
    const now = this.#clock.wallNow();
    const sequence = ++this.#sequence;
    const last = this.#entries.at(-1);
    const repeats = last !== undefined && isSame(last, kind, fact);
    const entry: JournalEntry = repeats
      ? { ...last, sequence, lastAt: now, count: last.count + 1 }
      : { key: sequence, sequence, at: now, lastAt: now, count: 1, kind, ...fact };
    if (repeats) this.#entries.pop();
    this.#entries.push(entry);
    if (this.#entries.length > this.#size) this.#entries = this.#entries.slice(-this.#size);
    for (const listener of this.#listeners) listener(entry);
  }
}

function isSame(last: JournalEntry, kind: JournalKind, { resource, from, to, reason }: Fact): boolean {
  return (
    last.kind === kind && last.resource === resource && last.from === from && last.to === to && last.reason === reason
  );
}
