import { channel } from "node:diagnostics_channel";

/** Names of the `node:diagnostics_channel` channels that databases publish to. They cost nothing unheard. */
export const DATABASE_CHANNELS = {
  /** A reserved connection or transaction is held longer than `leakThresholdMs`: {@link LeakEvent}. */
  leak: "steward:database:leak",
  /** The connections of all instances together exceed what the server allows: {@link OvercommitEvent}. */
  overcommit: "steward:database:overcommit",
  /** A connection that the server no longer knew was given up: {@link LostConnectionEvent}. */
  lost: "steward:database:lost",
} as const;

/** A reserved connection or transaction is held for long. */
export interface LeakEvent {
  readonly resource: string;
  readonly heldMs: number;
  /** Where it was acquired. */
  readonly stack: string;
}

/** The connections of all instances together exceed what the server allows. */
export interface OvercommitEvent {
  readonly resource: string;
  /** `instances` times `maxConnections`. */
  readonly wanted: number;
  /** What the server leaves to ordinary users: `max_connections` less those it reserves. */
  readonly allowed: number;
}

/** A connection that the server no longer knew was given up. */
export interface LostConnectionEvent {
  readonly resource: string;
  /** Process id of its backend. */
  readonly pid: number;
  /** Time without a byte from the server, in ms. */
  readonly silentMs: number;
}

const leak = channel(DATABASE_CHANNELS.leak);
const overcommit = channel(DATABASE_CHANNELS.overcommit);
const lost = channel(DATABASE_CHANNELS.lost);

/** Notifies listeners that a lease is held for long. */
export function publishLeak(event: LeakEvent): void {
  if (leak.hasSubscribers) leak.publish(event);
}

/** Notifies listeners that the server allows fewer connections than all instances may open. */
export function publishOvercommit(event: OvercommitEvent): void {
  if (overcommit.hasSubscribers) overcommit.publish(event);
}

/** Notifies listeners that a dead connection was given up. */
export function publishLost(event: LostConnectionEvent): void {
  if (lost.hasSubscribers) lost.publish(event);
}
