import { randomBytes } from "node:crypto";
import { isIP } from "node:net";
import { input, optional, resource, systemClock } from "@steward/core";
import { freePorts } from "@steward/launchers";
import { log } from "../resources/log.ts";
import { postgresServer, redisServer } from "../resources/servers.ts";
import { environment, settings } from "../settings.ts";
import { Balancer } from "./balancer.ts";
import { Replicas } from "./replicas.ts";

/** How many replicas there are. */
export const replicaCount = input<number>()("replicaCount");

/** Where lines of the replicas go. */
export const say = input<(line: string) => void>()("say");

const TOKEN_BYTES = 24;
/** A replica that has to end has this long for it, in ms. */
const STOP_MS = 20_000;

/** Where a server is asked that listens on `host`, as all replicas do. */
function reachable(host: string): string {
  return host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
}

/** The replicas. They share one Postgres and one Redis, and each has a management port of its own. */
export const replicas = resource("replicas", {
  needs: {
    settings,
    log,
    environment,
    replicaCount,
    say,
    postgres: optional(postgresServer),
    redis: optional(redisServer),
  },
  startTimeoutMs: 60_000,
  stopTimeoutMs: STOP_MS,
  start: async ({ settings, log, environment, replicaCount, say, postgres, redis }, { signal }) => {
    const ports = await freePorts(2 * replicaCount);
    const { managementPort = 0 } = settings;
    const host = reachable(settings.host);
    const places = Array.from({ length: replicaCount }, (_, i) => ({
      name: `replica ${i + 1}`,
      host,
      port: ports[i] ?? 0,
      managementPort: managementPort === 0 ? (ports[replicaCount + i] ?? 0) : managementPort + i,
    }));
    const env = {
      TRUSTED_PROXIES: [...new Set(["127.0.0.1", "::1", ...(isIP(host) === 0 ? [] : [host])])].join(","),
      CLIPS_ADMIN_TOKEN: randomBytes(TOKEN_BYTES).toString("base64url"),
      ...environment,
      ...(postgres === undefined ? {} : { DATABASE_URL: postgres.url }),
      ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
      MANAGEMENT_PEERS: places.map(({ managementPort: port }) => `127.0.0.1:${port}`).join(","),
    };
    const all = new Replicas({ places, env, say, log, clock: systemClock });
    await all.start(signal);
    return all;
  },
  run: (_needs, { signal, value }) => value.keepUp(signal),
  stop: (replicas, { signal }) => replicas.stop(signal),
});

/** What stands before the replicas, where one Clips would listen. */
export const balancer = resource("balancer", {
  needs: { settings, log, replicas },
  start: async ({ settings: { host, port }, log, replicas }) => {
    const balancer = new Balancer({
      targets: replicas.places,
      clock: systemClock,
      onChange: ({ name }, isIn, why) =>
        isIn ? log.info(`${name} gets requests: ${why}`) : log.warn(`${name} gets nothing new: ${why}`),
    });
    return { balancer, url: await balancer.start(host, port) };
  },
  run: (_needs, { signal, value }) => value.balancer.run(signal),
  drain: ({ balancer }) => balancer.drain(),
  stop: ({ balancer }) => balancer.stop(),
});
