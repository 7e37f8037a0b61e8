import type { Link } from "./connection/link.ts";
import type { Retired } from "./connection/retired.ts";
import type { Outbox } from "./messages/outbox.ts";
import type { SessionState } from "./plan.ts";

/** Numbers of a session. */
export type SessionStats = Readonly<Record<string, number | string>>;

/** What the numbers of a session are made of. */
export interface StatsParts {
  readonly state: SessionState;
  readonly opened: number;
  readonly reconnects: number;
  readonly retired: Retired;
  readonly outbox: Outbox;
  readonly link: Link | undefined;
}

/** The current numbers. */
export function statsOf({ state, opened, reconnects, retired, outbox, link }: StatsParts): SessionStats {
  const [pending, pendingBytes, inUse] = [outbox.length, outbox.bytes, link?.calls.size ?? 0];
  return Object.freeze({ state, opened, reconnects, retired: retired.silent, pending, pendingBytes, inUse });
}
