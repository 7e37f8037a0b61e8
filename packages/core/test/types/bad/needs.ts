// Needs that are not there, are not definitions, or are used as something they are not.
import { cached, optional, resource, when } from "@steward/core";

const db = resource("db", { start: () => ({ url: "x" }) });
const me = resource("me", { lifetime: "request", start: () => ({ name: "ann" }) });
const redis = resource("redis", { enabled: false, start: () => ({ get: () => "x" }) });

export const a = resource("a", { needs: { redis }, start: () => 1 }); // error: TS2322 'redis' may be disabled: need it as optional(redis)
export const b = resource("b", { needs: { redis: optional(redis) }, start: ({ redis }) => redis.get() }); // error: TS18048 possibly 'undefined'
export const c = resource("c", { needs: { port: 3000 }, start: () => 1 }); // error: TS2322 not assignable
export const d = resource("d", { needs: { db }, start: ({ nope }) => nope }); // error: TS2339 'nope' does not exist
export const e = resource("e", { needs: { db }, start: ({ db }) => db.uri }); // error: TS2339 'uri' does not exist
export const f = resource("f", { needs: { x: when(db, db, db) }, start: () => 1 }); // error: TS2345 not assignable
export const g = resource("g", { lifetime: "request", needs: { keys: cached(me, { ttlMs: 1 }) }, start: () => 1 }); // error: TS2345 not assignable
export const h = resource("h", { start: () => ({ port: 1 }), stop: (server) => server.close() }); // error: TS2339 'close' does not exist
export const i = resource("i", { lifetime: "forever", start: () => 1 }); // error: TS2322 not assignable to type 'Lifetime
