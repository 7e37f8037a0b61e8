import type { EventEmitter } from "node:events";
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Clock } from "@steward/core";

/** How often callers of one connection may take calls back. */
export interface ResetLimits {
  /** Taken back at once. */
  readonly burst: number;
  /** In the long run. */
  readonly perSecond: number;
}

/** The HTTP/2 servers below a server of grpc-js, which has no public way to them. */
export function http2ServersOf(server: object): Iterable<EventEmitter> {
  const servers: unknown = Reflect.get(server, "http2Servers");
  return servers instanceof Map ? (servers.keys() as Iterable<EventEmitter>) : []; // what grpc-js keeps there
}

/**
 * Ends connections whose peer opens calls only to take them back, again and again ("rapid reset"): each costs it next
 * to nothing, and us a call.
 *
 * @param closed Called for every connection that was ended.
 */
export function limitResets(server: EventEmitter, limits: ResetLimits, clock: Clock, closed: () => void): void {
  server.on("session", (session: ServerHttp2Session) => {
    let [tokens, refilledAt, isEnded] = [limits.burst, clock.now(), false];
    const take = (): void => {
      const now = clock.now();
      tokens = Math.min(limits.burst, tokens + ((now - refilledAt) / 1_000) * limits.perSecond) - 1;
      refilledAt = now;
      if (tokens >= 0 || isEnded || session.destroyed) return;
      isEnded = true;
      closed();
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      // In a later turn, or the reason would not be sent.
      setImmediate(() => session.destroy());
    };
    session.on("stream", (stream: ServerHttp2Stream) => {
      stream.once("close", () => {
        if (stream.aborted || stream.rstCode !== constants.NGHTTP2_NO_ERROR) take();
      });
    });
  });
}
