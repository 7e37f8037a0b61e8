import { randomBytes } from "node:crypto";
import { input, optional, resource, systemClock } from "@steward/core";
import { freePorts } from "@steward/launchers";
import { log } from "../resources/log.ts";
import { postgresServer, redisServer } from "../resources/servers.ts";
import { environment, settings } from "../settings.ts";
import { Balancer } from "./balancer.ts";
import { assertFree, balancersOf, fixedPorts, placesOf, within } from "./places.ts";
import { Replicas } from "./replicas.ts";

/** How many replicas there are. */
export const replicaCount = input<number>()("replicaCount");

/** Where lines of the replicas go. */
export const say = input<(line: string) => void>()("say");

const TOKEN_BYTES = 24;
/** A replica that has to end has this long for it, in ms. */
const STOP_MS = 20_000;

/** Where they listen. What is wrong with that is known before anything else has started. */
const places = resource("places", {
  needs: { settings, replicaCount },
  start: async ({ settings, replicaCount: count }) => {
    const fixed = fixedPorts(count, settings);
    await assertFree(fixed);
    const free = await freePorts(2 * count + fixed.size);
    return placesOf(
      count,
      settings,
      free.filter((port) => !fixed.has(port)),
    );
  },
});

/** The replicas. They share one Postgres and one Redis, and each has a management port of its own. */
export const replicas = resource("replicas", {
  needs: {
    settings,
    log,
    environment,
    places,
    say,
    postgres: optional(postgresServer),
    redis: optional(redisServer),
  },
  startTimeoutMs: 60_000,
  stopTimeoutMs: STOP_MS,
  start: async ({ settings, log, environment, places, say, postgres, redis }, { signal }) => {
    const env = {
      CLIPS_ADMIN_TOKEN: randomBytes(TOKEN_BYTES).toString("base64url"),
      ...environment,
      ...(postgres === undefined ? {} : { DATABASE_URL: postgres.url }),
      ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
      TRUSTED_PROXIES: [...new Set([...balancersOf(settings.host), ...settings.trustedProxies])].join(","),
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
  start: async ({ settings: { host, port, trustedProxies }, log, replicas }) => {
    const balancer = new Balancer({
      targets: replicas.places,
      clock: systemClock,
      trusts: within(trustedProxies),
      onChange: ({ name }, isIn, why) =>
        isIn ? log.info(`${name} gets requests: ${why}`) : log.warn(`${name} gets nothing new: ${why}`),
    });
    return { balancer, url: await balancer.start(host, port) };
  },
  run: (_needs, { signal, value }) => value.balancer.run(signal),
  drain: ({ balancer }) => balancer.drain(),
  stop: ({ balancer }) => balancer.stop(),
});
