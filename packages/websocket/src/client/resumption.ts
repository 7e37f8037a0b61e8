import type { WebSocket } from "ws";
import type { Outbox } from "./outbox.ts";
import type { Resumption, SessionPlan } from "./plan.ts";
import { SendUse, type Request } from "./uses.ts";

/** What the resume hook of a session is handed for a new connection. */
export function resumptionOf(
  { name, resumes }: SessionPlan,
  outbox: Outbox,
  socket: WebSocket,
  reconnects: number,
  request: (request: Request) => Promise<unknown>,
): Resumption {
  return {
    session: name,
    socket,
    reconnects,
    call: (body) => request({ verb: "call", body }),
    send: (data) => new Promise((resolve, reject) => resumes.enter(new SendUse(outbox, data, true, resolve, reject))),
  };
}
