// Needs that are not there, are not definitions, or are used as something they are not.
import { cached, current, fresh, input, lazy, optional, resource, when } from "@steward/core";

const db = resource("db", { start: () => ({ url: "x" }) });
const me = resource("me", { lifetime: "request", start: () => ({ name: "ann" }) });
const redis = resource("redis", { enabled: false, start: () => ({ get: () => "x" }) });

const cache = resource("cache", { criticality: "optional", start: () => new Map<string, string>() });
const extra = resource("extra", { criticality: "optional", enabled: false, start: () => 1 });
const config = resource("config", { start: () => ({ smtp: true }) });

export const a = resource("a", { needs: { redis }, start: () => 1 }); // error: TS2322 'redis' may be disabled: need it as optional(redis)
export const b = resource("b", { needs: { redis: optional(redis) }, start: ({ redis }) => redis.get() }); // error: TS18048 possibly 'undefined'
export const c = resource("c", { needs: { port: 3000 }, start: () => 1 }); // error: TS2322 not assignable
export const d = resource("d", { needs: { db }, start: ({ nope }) => nope }); // error: TS2339 'nope' does not exist
export const e = resource("e", { needs: { db }, start: ({ db }) => db.uri }); // error: TS2339 'uri' does not exist
export const f = resource("f", { needs: { x: when(db, db, db) }, start: () => 1 }); // error: TS2345 not assignable
export const g = resource("g", { lifetime: "request", needs: { keys: cached(me, { ttlMs: 1 }) }, start: () => 1 }); // error: TS2345 not assignable
export const h = resource("h", { start: () => ({ port: 1 }), stop: (server) => server.close() }); // error: TS2339 'close' does not exist
export const j = resource("j", { needs: { cache }, start: () => 1 }); // error: TS2322 'cache' may be down: need it as current(cache)
export const k = resource("k", { needs: { cache: optional(cache) }, start: () => 1 }); // error: TS2322 'cache' may be down: need it as current(cache)
export const l = resource("l", { needs: { cache: lazy(cache) }, start: () => 1 }); // error: TS2322 'cache' may be down: need it as current(cache)
export const m = resource("m", { needs: { cache: fresh(cache) }, start: () => 1 }); // error: TS2322 'cache' may be down: need it as current(cache)
export const n = resource("n", { lifetime: "request", needs: { cache }, start: () => 1 }); // error: TS2322 'cache' may be down: need it as current(cache)
export const o = resource("o", { needs: { cache: current(cache) }, start: ({ cache }) => cache.current.size }); // error: TS18048 'cache.current' is possibly 'undefined'
export const p = resource("p", { needs: { extra }, start: () => 1 }); // error: TS2322 'extra' may be disabled and may be down: need it as optional(current(extra))
export const q = resource("q", { needs: { it: when(cache, (c) => c.size > 0, db, db) }, start: () => 1 }); // error: TS2322 'it' may be down: need it as current(it)
export const r = resource("r", { needs: { it: when(config, (c) => c.smpt, db, db) }, start: () => 1 }); // error: TS2339 'smpt' does not exist
export const s = resource("s", { start: () => 1, criticality: "optionl" }); // error: TS2820 not assignable to type 'Criticality
export const u = resource("u", { start: () => 1, strat: () => 2 }); // error: TS2561 'strat' does not exist
export const i = resource("i", { lifetime: "forever", start: () => 1 }); // error: TS2322 not assignable to type 'Lifetime

const size = input<string>()("size");
const other = input<string>()("other");
const shape = input<{ readonly kind: string }>()("shape");
const model = resource("model", { needs: { size }, start: ({ size }) => size.length });
const shaped = resource("shaped", { needs: { shape }, start: () => 1 });
const models = cached(model, { key: size, ttlMs: 1, max: 2 });
export const v = resource("v", { lifetime: "request", needs: { models }, start: ({ models }) => models(3) }); // error: TS2345 'number' is not assignable to parameter of type 'string'
export const w = resource("w", { lifetime: "request", needs: { models }, start: ({ models }) => models.toFixed() }); // error: TS2339 'toFixed' does not exist
export const x = cached(model, { key: other, ttlMs: 1 }); // error: TS2322 '"application:other"' is not assignable to type '"application:size"'
export const y = cached(model, { ttlMs: 1, max: 2 }); // error: TS2345 not assignable
export const z = cached(model, { key: size, ttlMs: 1, mx: 2 }); // error: TS2353 'mx' does not exist
export const aa = cached(shaped, { key: shape, ttlMs: 1 }); // error: TS2322 is not assignable to type 'CacheKey'
export const ab = resource("ab", { needs: { models }, start: () => 1 }); // error: TS2322 an application resource cannot need 'models': it lives shorter
