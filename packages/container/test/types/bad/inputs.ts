// Containers and scopes name the input that they miss.
import { input, current, optional, resource } from "@steward/core";
import { container } from "@steward/container";

const clock = input<{ now(): number }>()("clock");
const request = input<{ readonly id: string }>()("request", { lifetime: "request" });
const users = resource("users", { needs: { clock }, start: ({ clock }) => clock.now() });
const me = resource("me", { lifetime: "request", needs: { request, users }, start: ({ request }) => request.id });
const redis = resource("redis", { enabled: false, start: () => 1 });
const cache = resource("cache", { criticality: "optional", start: () => new Map<string, string>() });
const app = container([users, me, redis, cache]);

export async function use(): Promise<void> {
  await app.start(); // error: TS2684 the container needs the input 'clock': start([clock.is(...)])
  const running = await app.start([clock.is({ now: () => 1 })]);
  await running.scope([], { me }, () => 1); // error: TS2322 'me' needs the input 'request', which this scope is not given
  await running.scope([request.is({ id: "1" })], { redis }, () => 1); // error: TS2322 'redis' may be disabled: need it as optional(redis)
  await running.scope([request.is({ id: "1" })], { redis: optional(redis) }, ({ redis }) => redis.toFixed()); // error: TS18048 possibly 'undefined'
  await running.scope([], { cache }, () => 1); // error: TS2322 'cache' may be down: need it as current(cache)
  await running.scope([], { cache: optional(cache) }, () => 1); // error: TS2322 'cache' may be down: need it as current(cache)
  await running.scope([], { cache: current(cache) }, ({ cache }) => cache.current.size); // error: TS18048 possibly 'undefined'
  await running.scope([]).get(cache); // error: TS2345 this may be down: ask for it as current(...)
  await running.scope([]).get(redis); // error: TS2345 this may be absent: ask for it as optional(...)
  running.get(cache).size; // error: TS2532 possibly 'undefined'
  running.get(me); // error: TS2345 this lives in a scope
  await running.scope([]).get(me); // error: TS2345 this needs the input 'request', which the scope is not given
  request.is({ id: 4 }); // error: TS2322 not assignable
  await app.start([clock.is(5)]); // error: TS2345 not assignable
}
