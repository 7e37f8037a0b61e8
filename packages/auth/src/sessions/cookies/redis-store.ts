import { assertShape } from "@steward/core/driver";
import { basisOf, RedisEntries, redisEntriesShape, type Fields, type RedisEntriesOptions } from "../redis-entries.ts";
import type { CookieSessionStore, StoredCookieSession } from "./store.ts";

const TOUCH = `
if not live(ARGV[2]) then return 0 end
local ends = math.min(tonumber(redis.call("HGET", keyOf(ARGV[2]), "last")), now + math.floor(ARGV[3]))
redis.call("HSET", keyOf(ARGV[2]), "used", now, "ends", ends)
redis.call("PEXPIREAT", keyOf(ARGV[2]), ends)
return 1`;
const WRITE = `
if not live(ARGV[2]) then return 0 end
for i = 3, #ARGV, 3 do
  if ARGV[i] == "set" then redis.call("HSET", keyOf(ARGV[2]), "f:" .. ARGV[i + 1], ARGV[i + 2])
  else redis.call("HDEL", keyOf(ARGV[2]), "f:" .. ARGV[i + 1]) end
end
return 1`;

/**
 * Keeps cookie sessions in Redis: one hash for each. Time is that of the server, and every change is one script. Redis must
 * not evict: what it throws away signs users out.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function redisSessions(options: RedisEntriesOptions): CookieSessionStore {
  assertShape("redisSessions", redisEntriesShape, options);
  const entries = new RedisEntries(options, "session");
  return {
    epoch: (subject) => entries.epoch(subject),
    create: ({ userAgent, ...session }) => entries.create({ ...session, agent: userAgent }),
    async find(id) {
      const found = await entries.find(id);
      return found && sessionOf(found);
    },
    async touch(id, idleMs) {
      await entries.run(TOUCH, id, [String(idleMs)]);
    },
    async write(id, changes) {
      const rest = Object.entries(changes).flatMap(([name, value]) => [
        value === null ? "del" : "set",
        name,
        value ?? "",
      ]);
      return (await entries.run(WRITE, id, rest)) === 1;
    },
    list: async (subject) => (await entries.list(subject)).map(sessionOf),
    remove: (id) => entries.remove(id),
    raiseEpoch: (subject) => entries.raiseEpoch(subject),
  };
}

function sessionOf(found: Fields): StoredCookieSession {
  const own = Object.entries(found).filter(([name]) => name.startsWith("f:"));
  const fields = Object.fromEntries(own.map(([name, value]) => [name.slice(2), value]));
  return { ...basisOf(found), userAgent: found["agent"] ?? "", fields };
}
