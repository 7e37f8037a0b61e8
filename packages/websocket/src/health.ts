import type { PassiveEvidence } from "@steward/core";
import type { WebSocketSession } from "./client/session.ts";

/**
 * One round trip: a ping and its pong, on the connection that messages take.
 * @throws {WEBSOCKET_DISCONNECTED} when there is no connection.
 */
export function probe(session: WebSocketSession): Promise<void> {
  return session.ping();
}

/** What the connections tell without being asked: when one was last heard, and how many are missing. */
export function evidenceOf(sessions: readonly WebSocketSession[]): PassiveEvidence {
  const missing = sessions.filter(({ state }) => state !== "open" && state !== "resuming");
  return {
    lastSuccessAt: Math.max(...sessions.map(({ heardAt }) => heardAt)),
    openRatio: sessions.length === 0 ? 0 : missing.length / sessions.length,
    reason: missing[0]?.lastError?.message ?? "",
  };
}
