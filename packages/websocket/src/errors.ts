/** Every error code of `@steward/websocket`, with what it means. */
export const WEBSOCKET_CODES = {
  WEBSOCKET_CONNECT_FAILED:
    "No connection could be made: refused, timed out, or the server did not accept the handshake.",
  WEBSOCKET_DISCONNECTED: "There is no connection now, so the message was not sent.",
  WEBSOCKET_CALL_FAILED: "The other side answered a call with an error.",
  WEBSOCKET_LIMIT: "A client of a hub asked for more rooms, or a longer name of one, than it may have.",
  WEBSOCKET_MALFORMED: "A client of a hub sent a request that has none of the verbs of its protocol.",
  WEBSOCKET_PLAINTEXT_REFUSED: "The handshake would send credentials to another machine in plain text.",
  WEBSOCKET_REFUSED: "A hub does not take such a call, or its caller may not join that room.",
} as const;

/** A code that `@steward/websocket` itself raises. */
export type WebSocketCode = keyof typeof WEBSOCKET_CODES;
