import { optional, resource, StewardError } from "@steward/core";
import { pubSub } from "@steward/database";
import { redisPubSub } from "@steward/redis";
import { webSocketHub } from "@steward/websocket/hub";
import { cache, db } from "../resources/stores.ts";
import { server } from "../server/server.ts";
import { hostsOf, settings } from "../settings.ts";
import { auth, sessionKey } from "../users/auth.ts";
import { videos, type Videos } from "../videos/videos.ts";

const ROOM = /^video:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** Where it is announced how the processing of a video goes. */
export function roomOf(videoId: string): string {
  return `video:${videoId}`;
}

/** There is a room for every video, and nothing else. */
async function isRoom(videos: Pick<Videos, "find">, room: string): Promise<boolean> {
  const [, id] = ROOM.exec(room) ?? [];
  if (id === undefined) return false;
  try {
    return (await videos.find(id)) !== undefined;
  } catch (cause) {
    // Its own words may name hosts.
    throw new StewardError("RESOURCE_UNAVAILABLE", "videos cannot be looked up now; please try again", {
      retryable: true,
      cause,
    });
  }
}

/**
 * `/ws`: browsers join `video:<id>` and hear how the processing goes, at whichever instance they are. All instances
 * share a database, so it carries the messages where no Redis was named that they share too.
 */
export const hub = webSocketHub("hub", {
  needs: { settings, server, videos, db, cache: optional(cache) },
  criticality: "optional",
  readiness: "ignore",
  options: ({ settings, server, videos, db, cache }) => ({
    server: server.app.server,
    path: "/ws",
    hosts: hostsOf(settings),
    // Everybody may listen; one whose session ends is sent away.
    authenticate: ({ headers }): SocketUser => ({ session: sessionKey({ headers, query: {}, params: {} }) }),
    authorize: (room) => isRoom(videos, room),
    pubSub: settings.redisUrl !== undefined && cache !== undefined ? redisPubSub(cache) : pubSub(db),
    topic: "clips:hub",
    trace: true,
    // Only how it stands now counts for one who reads slowly.
    backpressure: "coalesce",
  }),
});

/** What is known of who has connected. */
interface SocketUser {
  readonly session: string | undefined;
}

const SIGNED_OUT = 4401;

/** Closes the sockets of a session that has ended, on whichever instance they are. */
export const socketEnds = resource("socketEnds", {
  needs: { hub, auth },
  criticality: "optional",
  readiness: "ignore",
  start: ({ hub, auth }) => ({
    ignore: auth.onEnded(({ sessions }) => {
      for (const socket of hub.sockets) {
        const { session } = socket.user as SocketUser; // `authenticate` has given it
        if (session !== undefined && sessions.includes(session)) socket.close(SIGNED_OUT, "signed out");
      }
    }),
  }),
  stop: ({ ignore }) => ignore(),
});
