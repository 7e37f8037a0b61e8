// Everything that has to compile, and what it infers.
import {
  afterReply,
  cached,
  current,
  fresh,
  input,
  lazy,
  optional,
  resource,
  when,
  type Current,
  type Definition,
  type ValueOf,
} from "@steward/core";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
export const holds = <T extends true>(): T | undefined => undefined;

interface Request {
  readonly id: string;
}

export const clock = input<{ now(): number }>()("clock");
export const request = input<Request>()("request", { lifetime: "request" });
export const config = resource("config", { start: () => ({ url: "x", cache: true }) });
export const flag = resource("flag", { needs: { config }, start: ({ config }) => config.cache });
export const db = resource("db", {
  needs: { config },
  start: async ({ config }, { signal }) => ({ url: config.url, signal }),
  stop: (db) => db.signal.throwIfAborted(),
});
export const redis = resource("redis", {
  needs: { config },
  enabled: ({ config }) => config.cache,
  start: () => ({ get: (key: string) => key }),
});
export const users = resource("users", {
  needs: { db, redis: optional(redis), clock },
  start: ({ db, redis, clock }) => ({ find: (): string => redis?.get("1") ?? `${db.url}${clock.now()}` }),
});
export const tx = resource("tx", {
  lifetime: "handler",
  needs: { db },
  async *start({ db }) {
    yield { run: (): string => db.url };
    yield afterReply;
  },
});
export const me = resource("me", {
  lifetime: "request",
  needs: {
    users,
    request,
    late: lazy(db),
    own: fresh(db),
    now: current(db),
    either: when(flag, db, users),
    keys: cached(db, { ttlMs: 1_000 }),
  },
  start: (needs) => needs,
});
export const cache = resource("cache", { criticality: "optional", start: async () => new Map<string, string>() });
export const extra = resource("extra", {
  criticality: "optional",
  enabled: (): boolean => false,
  start: () => ({ n: 1 }),
});
export const cold = resource("cold", {
  needs: {
    cache: current(cache),
    extra: optional(current(extra)),
    db: current(db),
    mail: when(config, (c) => c.cache, db, users),
  },
  start: (needs) => needs,
});
export const stamp = resource("stamp", { lifetime: "transient", needs: { me }, start: ({ me }) => me.request.id });
export const page = resource("page", {
  lifetime: "handler",
  needs: { tx, me, stamp },
  start: ({ tx, stamp }) => `${tx.run()}${stamp}`,
});

holds<Equal<ValueOf<typeof tx>, { run: () => string }>>();
holds<Equal<ValueOf<typeof stamp>, string>>();
holds<Equal<typeof cache, Definition<Map<string, string>, "application~", never>>>();
holds<Equal<typeof extra, Definition<{ n: number }, "application~?", never>>>();
holds<Equal<typeof cold, Definition<ValueOf<typeof cold>, "application", "application:clock">>>();
type Cold = ValueOf<typeof cold>;
holds<Equal<Cold["cache"], Current<Map<string, string> | undefined>>>();
holds<Equal<Cold["extra"], Current<{ n: number } | undefined> | undefined>>();
holds<Equal<Cold["db"], Current<ValueOf<typeof db>>>>();
holds<Equal<Cold["mail"], ValueOf<typeof db> | ValueOf<typeof users>>>();
type Me = ValueOf<typeof me>;
holds<Equal<Me["late"], () => Promise<ValueOf<typeof db>>>>();
holds<Equal<Me["now"], Current<ValueOf<typeof db>>>>();
holds<Equal<Me["either"], ValueOf<typeof db> | ValueOf<typeof users>>>();
holds<Equal<typeof users, Definition<ValueOf<typeof users>, "application", "application:clock">>>();
holds<Equal<typeof redis, Definition<{ get: (key: string) => string }, "application?", never>>>();
holds<Equal<typeof stamp, Definition<string, "request", "application:clock" | "request:request">>>();
