// What lives shorter cannot be held by what lives longer.
import { cached, current, fresh, lazy, optional, resource } from "@steward/core";

const db = resource("db", { start: () => ({ url: "x" }) });
const cart = resource("cart", { lifetime: "session", start: () => ["apple"] });
const me = resource("me", { lifetime: "request", start: () => ({ name: "ann" }) });
const tx = resource("tx", { lifetime: "handler", start: () => ({ commit: () => {} }) });
const stamp = resource("stamp", { lifetime: "transient", needs: { me }, start: ({ me }) => me.name });

export const a = resource("a", { needs: { me }, start: () => 1 }); // error: TS2322 an application resource cannot need 'me': it lives shorter
export const b = resource("b", { lifetime: "request", needs: { db, tx }, start: () => 1 }); // error: TS2322 a request resource cannot need 'tx': it lives shorter
export const c = resource("c", { lifetime: "process", needs: { db }, start: () => 1 }); // error: TS2322 a process resource cannot need 'db': it lives shorter
export const d = resource("d", { lifetime: "session", needs: { me, cart }, start: () => 1 }); // error: TS2322 a session resource cannot need 'me': it lives shorter
export const e = resource("e", { needs: { stamp }, start: () => 1 }); // error: TS2322 an application resource cannot need 'stamp': it lives shorter
export const f = resource("f", { needs: { now: current(me) }, start: () => 1 }); // error: TS2322 an application resource cannot need 'now': it lives shorter
export const g = resource("g", { needs: { late: lazy(me) }, start: () => 1 }); // error: TS2322 an application resource cannot need 'late': it lives shorter
export const h = resource("h", { needs: { own: fresh(me) }, start: () => 1 }); // error: TS2322 an application resource cannot need 'own': it lives shorter
export const i = resource("i", { needs: { maybe: optional(me) }, start: () => 1 }); // error: TS2322 an application resource cannot need 'maybe': it lives shorter
export const j = resource("j", { needs: { keys: cached(db, { ttlMs: 1 }) }, start: () => 1 }); // error: TS2322 an application resource cannot need 'keys': it lives shorter
