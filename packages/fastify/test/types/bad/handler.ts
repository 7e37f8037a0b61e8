// What a handler may not ask for.
import { input, resource } from "@steward/core";
import { from, handler, security, socketHandler } from "@steward/fastify";
import { override } from "@steward/fastify/testing";

const cart = input<string[]>()("cart", { lifetime: "session" });
const tenant = input<string>()("tenant", { lifetime: "request" });
const basket = resource("basket", { lifetime: "request", needs: { cart }, start: ({ cart }) => cart.length });
const house = resource("house", { lifetime: "request", needs: { tenant }, start: ({ tenant }) => tenant });
const maybe = resource("maybe", { enabled: (): boolean => true, start: () => 1 });
const tx = resource("tx", { lifetime: "handler", start: () => ({ commit: () => {} }) });
const me = resource("me", { lifetime: "request", start: () => ({ name: "ann" }) });
const limit = from.query("limit", { type: "integer" });

export const a = handler({ basket }, () => "ok"); // error: TS2322 'basket' needs the input 'cart', which this scope is not given
export const b = handler({ house }, () => "ok"); // error: TS2322 'house' needs the input 'tenant', which this scope is not given
export const c = handler({ maybe }, () => "ok"); // error: TS2322 'maybe' may be disabled: need it as optional(maybe)
export const d = handler({ me: undefined }, () => "ok"); // error: TS2322 Type 'undefined' is not assignable
export const e = handler({ me }, ({ you }) => you); // error: TS2339 Property 'you' does not exist
export const f = handler({ limit }, ({ limit }) => limit.toUpperCase()); // error: TS2339 Property 'toUpperCase' does not exist on type 'number'
export const g = resource("g", { lifetime: "request", needs: { tx }, start: () => 1 }); // error: TS2322 a request resource cannot need 'tx': it lives shorter
export const h = resource("h", { needs: { limit }, start: () => 1 }); // error: TS2322 an application resource cannot need 'limit': it lives shorter
export const i = resource("i", { needs: { user: security(me) }, start: () => 1 }); // error: TS2322 an application resource cannot need 'user': it lives shorter
export const j = socketHandler({ house }, () => {}); // error: TS2322 'house' needs the input 'tenant', which this scope is not given
export const k = override(me, { name: 5 }); // error: TS2769 Type 'number' is not assignable to type 'string'
export const l = override(tx, me); // error: TS2769 'commit' is missing
export const m = handler({ me: security(me, ["a"]) }, () => "ok"); // error: TS2345 its value has no list `scopes` to compare with
