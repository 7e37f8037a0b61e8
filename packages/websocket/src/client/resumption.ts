import type { WebSocket } from "ws";
import type { Sender } from "./messages/sender.ts";
import type { Resumption } from "./plan.ts";

/** What the resume hook of a session is handed for a new connection. */
export function resumptionOf(session: string, sender: Sender, socket: WebSocket, reconnects: number): Resumption {
  return {
    session,
    socket,
    reconnects,
    call: (body) => sender.call({ verb: "call", body }, true),
    send: (data) => sender.send(data, true),
  };
}
