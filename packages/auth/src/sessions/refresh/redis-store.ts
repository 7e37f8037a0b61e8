import { assertShape } from "@steward/core/driver";
import {
  basisOf,
  fieldsOf,
  RedisEntries,
  redisEntriesShape,
  type Fields,
  type RedisEntriesOptions,
} from "../redis-entries.ts";
import { MAX_REPLAYS, type Family, type FamilyStore } from "./store.ts";

const ROTATE = `
local id, counter, agent, idle, grace = unpack(ARGV, 2, 6)
if not live(id) then drop(id) return {"unknown"} end
local key = keyOf(id)
local found = redis.call("HMGET", key, "counter", "agent", "used", "replays", "last", "subject")
if counter == found[1] then
  local ends = math.min(tonumber(found[5]), now + math.floor(idle))
  redis.call("HSET", key, "counter", tonumber(counter) + 1, "agent", agent, "used", now, "ends", ends, "replays", 0)
  local all = shown(id)
  redis.call("PEXPIREAT", key, ends)
  return {"rotated", all}
end
local isRetry = tonumber(counter) == tonumber(found[1]) - 1 and agent == found[2]
  and tonumber(found[4]) < ${MAX_REPLAYS} and now - tonumber(found[3]) <= tonumber(grace)
if not isRetry then drop(id) return {"reused", found[6]} end
redis.call("HINCRBY", key, "replays", 1)
return {"replayed", shown(id)}`;

/**
 * Keeps families of refresh tokens in Redis: one hash for each. Time is that of the server, and every change is one script.
 * Redis must not evict, and what it loses in a crash or a failover signs users out, or lets a used token go on: Postgres
 * (`sqlFamilies`) loses nothing.
 *
 * @throws {OPTIONS_INVALID} when an option is unknown or wrong.
 */
export function redisFamilies(options: RedisEntriesOptions): FamilyStore {
  assertShape("redisFamilies", redisEntriesShape, options);
  const entries = new RedisEntries(options, "family");
  return {
    epoch: (subject) => entries.epoch(subject),
    create: (family) => entries.create(family, ["counter", "0", "replays", "0"]),
    async find(id) {
      const found = await entries.find(id);
      return found && familyOf(found);
    },
    async list(subject) {
      const all = (await entries.list(subject)).map(basisOf);
      return all.map(({ endsInMs: _, ...listed }) => listed);
    },
    async rotate(id, { counter, agent, idleMs, graceMs }) {
      const rest = [String(counter), agent, String(idleMs), String(graceMs)];
      const [outcome, more] = (await entries.run(ROTATE, id, rest)) as readonly [string, unknown]; // the script gives both
      const fields = fieldsOf(more);
      if ((outcome === "rotated" || outcome === "replayed") && fields !== undefined)
        return { outcome, family: familyOf(fields) };
      return outcome === "reused" ? { outcome, subject: String(more) } : { outcome: "unknown" };
    },
    remove: (id) => entries.remove(id),
    raiseEpoch: (subject) => entries.raiseEpoch(subject),
  };
}

function familyOf(found: Fields): Family {
  const { subject, scopes, beganAtMs, endsInMs } = basisOf(found);
  return { subject, scopes, counter: Number(found["counter"]), beganAtMs, endsInMs };
}
