import { isStewardError } from "@steward/core";
import { usualVerdict, type PassiveEvidence, type Verdict } from "@steward/core/driver";
import type { WebSocketSession } from "./client/session.ts";

/**
 * One round trip: a ping and its pong, on the connection that messages take.
 * @throws {WEBSOCKET_DISCONNECTED} when there is no connection.
 */
export function probe(session: WebSocketSession): Promise<void> {
  return session.ping();
}

/** What calls show, and the connections without being asked: when one was last heard, and how many are missing. */
export function withSessions(calls: PassiveEvidence, sessions: readonly WebSocketSession[]): PassiveEvidence {
  const missing = sessions.filter(({ state }) => state !== "open" && state !== "resuming");
  const share = sessions.length === 0 ? 0 : missing.length / sessions.length;
  return {
    ...calls,
    lastSuccessAt: Math.max(calls.lastSuccessAt, ...sessions.map(({ heardAt }) => heardAt)),
    failingRatio: Math.max(share, calls.failingRatio),
    reason: missing[0]?.lastError?.message ?? calls.reason,
    isSuspect: calls.isSuspect || missing.length > 0,
  };
}

/** Calls of a session without a connection fail at once: the state of the session shows that, and others are not to blame. */
export function judge(error: unknown): Verdict {
  return isStewardError(error, "WEBSOCKET_DISCONNECTED") ? "none" : usualVerdict(error);
}
