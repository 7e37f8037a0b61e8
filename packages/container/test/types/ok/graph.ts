// What a container of these definitions has to accept, and what it infers.
import { input, optional, resource, type ValueOf } from "@steward/core";
import { container, type RunningContainer } from "@steward/container";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
export const holds = <T extends true>(): T | undefined => undefined;

interface Request {
  readonly id: string;
}

export const clock = input<{ now(): number }>()("clock");
export const request = input<Request>()("request", { lifetime: "request" });
export const config = resource("config", { start: () => ({ url: "x", cache: true }) });
export const db = resource("db", {
  needs: { config },
  start: async ({ config }, { signal }) => ({ url: config.url, signal }),
});
export const redis = resource("redis", { enabled: false, start: () => ({ get: (key: string) => key }) });
export const users = resource("users", {
  needs: { db, clock },
  start: ({ db, clock }) => ({ find: (): string => `${db.url}${clock.now()}` }),
});
export const page = resource("page", {
  lifetime: "handler",
  needs: { users, request },
  start: ({ users, request }) => users.find() + request.id,
});

export async function use(): Promise<void> {
  const app = container([users, redis, page]);
  const running: RunningContainer = await app.start([clock.is({ now: () => 1 })]);
  holds<Equal<ReturnType<typeof running.get<typeof users>>, ValueOf<typeof users>>>();
  const maybe: ValueOf<typeof redis> | undefined = running.get(redis);
  const length: number = await running.scope(
    [request.is({ id: "1" })],
    { page, redis: optional(redis) },
    ({ page }) => page.length,
  );
  await using scope = running.scope([request.is({ id: "1" })]);
  const text: string = await scope.get(page);
  const fake = resource("fake", { start: () => ({ url: "y", signal: AbortSignal.timeout(1) }) });
  const test = app
    .override(db, fake)
    .override(config, { url: "z", cache: false })
    .override(clock, { now: () => 2 });
  await using started = await test.start();
  console.log(maybe, length, text, started);
}
