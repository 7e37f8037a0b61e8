// What a newcomer writes first and the compiler refuses, with what to write. What works is in first-programs.test.ts.
import { cached, current, fresh, input, lazy, optional, resource } from "@steward/core";
import { container } from "@steward/container";

// p05: the obvious cache that may be down
const cache = resource("cache", { criticality: "optional", start: async () => new Map<string, string>() });
const users = resource("users", {
  needs: { cache: optional(cache) }, // error: TS2322 'cache' may be down: need it as current(cache)
  start: () => 1,
});
const people = resource("people", {
  needs: { cache: current(cache) },
  start: ({ cache }) => cache.current.get("ann"), // error: TS18048 'cache.current' is possibly 'undefined'
});

// p03: a scope without the request
interface Request {
  readonly user: string;
}
const request = input<Request>()("request", { lifetime: "request" });
const me = resource("me", { lifetime: "request", needs: { request }, start: ({ request }) => request.user });
const greeter = resource("greeter", { needs: { request }, start: () => 1 }); // error: TS2322 an application resource cannot need 'request': it lives shorter

export async function use(): Promise<void> {
  await using running = await container([users, people, me, greeter]).start();
  await running.scope([], { me }, ({ me }) => me); // error: TS2322 'me' needs the input 'request', which this scope is not given
  running.get(me); // error: TS2345 this lives in a scope: resolve it with running.scope(...)
}

// p37: edges of edges; the start of a JavaScript program says what to write
const x = resource("x", { start: () => 1 });
current(optional(x)); // error: TS2739 missing the following properties from type 'Definition<
lazy(optional(x)); // error: TS2739 missing the following properties from type 'Definition<
cached(fresh(x), { ttlMs: 1 }); // error: TS2739 missing the following properties from type 'Definition<

// p07: TypeScript keeps the literal of a nested function; (): number => 1 is what to write
const clock = resource("clock", { start: () => ({ now: () => 1 }) });
container([clock]).override(clock, { now: () => 42 }); // error: TS2769 Type '42' is not assignable to type '1'
