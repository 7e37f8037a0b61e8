import type { Server } from "node:http";
import type { Http2Session } from "node:http2";
import type { FastifyInstance } from "fastify";
import { requestShare } from "@steward/server";

const SWEEP_MS = 50;

/**
 * Lets a server end: while it closes, each connection is closed as soon as it is idle, which Node's own `close` does not do
 * to a timeout of over a minute; what has not ended in time is closed by force.
 */
export function sweepWhileClosing(app: FastifyInstance, closeTimeoutMs: number): { begin(): void; end(): void } {
  const server: Partial<Server> & NodeJS.EventEmitter = app.server; // one of http2 has sessions instead
  const sessions = new Set<Http2Session>();
  server.on("session", (session: Http2Session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  const cut = (): void => {
    server.closeAllConnections?.();
    for (const session of sessions) session.destroy();
  };
  let sweep: NodeJS.Timeout | undefined;
  let force: NodeJS.Timeout | undefined;
  return {
    begin() {
      sweep = setInterval(() => server.closeIdleConnections?.(), SWEEP_MS);
      force = setTimeout(cut, requestShare(closeTimeoutMs));
      server.closeIdleConnections?.();
    },
    end() {
      clearInterval(sweep);
      clearTimeout(force);
    },
  };
}
