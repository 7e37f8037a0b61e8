// Nothing here is annotated: the point is that the compiler can write these types down for others.
import { container } from "@steward/container";
import { cached, current, fresh, input, lazy, optional, resource, when } from "@steward/core";

export const config = resource("config", { start: () => ({ url: "http://localhost", cache: true }) });

export const clock = input<{ now(): number }>()("clock");

export const database = resource("database", {
  needs: { config, clock },
  start: async ({ config, clock }) => ({ url: config.url, openedAt: clock.now(), rows: new Map<string, number>() }),
  stop: (db) => db.rows.clear(),
});

export const cache = resource("cache", {
  needs: { config },
  enabled: ({ config }) => config.cache,
  start: () => new Map<string, string>(),
});

export const users = resource("users", {
  needs: { database, cache: optional(cache), lazily: lazy(config), own: fresh(config), now: current(database) },
  start: ({ database, cache, lazily, now }) => ({
    find: async (id: string) => ({
      id,
      rows: database.rows.get(id),
      cached: cache?.get(id),
      url: (await lazily()).url,
      at: now.current.openedAt,
    }),
  }),
});

export const token = input<string>()("token", { lifetime: "request" });

export const me = resource("me", {
  lifetime: "request",
  needs: { users, token, settings: cached(config, { ttlMs: 1000 }) },
  async *start({ users, token }) {
    yield await users.find(token);
  },
});

export const isLocal = resource("isLocal", {
  needs: { config },
  start: ({ config }) => config.url.includes("localhost"),
});

export const either = resource("either", { needs: { it: when(isLocal, config, config) }, start: ({ it }) => it });

export const app = container([users, database]);
