import type { FastifyInstance } from "fastify";
import { requestShare } from "@steward/server";

const SWEEP_MS = 50;

/**
 * Lets a server end: while it closes, each connection is closed as soon as it is idle, which Node's own `close` does not do
 * to a timeout of over a minute; what has not ended in time is closed by force.
 */
export function sweepWhileClosing(app: FastifyInstance, closeTimeoutMs: number): { begin(): void; end(): void } {
  let sweep: NodeJS.Timeout | undefined;
  let force: NodeJS.Timeout | undefined;
  return {
    begin() {
      sweep = setInterval(() => app.server.closeIdleConnections(), SWEEP_MS);
      force = setTimeout(() => app.server.closeAllConnections(), requestShare(closeTimeoutMs));
      app.server.closeIdleConnections();
    },
    end() {
      clearInterval(sweep);
      clearTimeout(force);
    },
  };
}
