import type { RedisRunner } from "@steward/core";
import { recognised, required, shape, withMethods, type Shape } from "@steward/core/driver";
import type { NewUserRow } from "./user-rows.ts";

/** How stores in Redis are made. */
export interface RedisEntriesOptions {
  /** Runs the scripts: `redisRunner(redis)` of `@steward/redis`. That Redis must evict nothing (`noeviction`). */
  readonly redis: RedisRunner;
  /** Beginning of the names of the keys, all of one slot. Default `{steward:auth}:`. */
  readonly prefix?: string | undefined;
}

/** What these options must be. */
export const redisEntriesShape: Shape<RedisEntriesOptions> = shape<RedisEntriesOptions>(() => ({
  redis: required(withMethods("the port of a Redis resource", "script")),
  prefix: recognised(
    (value) => typeof value === "string" && value.length <= 100 && PREFIX.test(value),
    "1 to 100 characters with a hash tag, such as {auth}:",
  ),
}));

const PREFIX = /^[\w:.-]*\{[\w:.-]+\}[\w:.-]*$/;

/** What an entry says, by field. */
export type Fields = Readonly<Record<string, string>>;

// KEYS[1] is the beginning of all names, ARGV[1] the kind of the entries, ARGV[2] an id or a user. Time is that of the server.
const BASE = `
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local prefix, kind = KEYS[1], ARGV[1]
local function keyOf(id) return prefix .. kind .. ":" .. id end
local function listOf(subject) return prefix .. kind .. "-of:" .. subject end
local function epochOf(subject) return redis.call("GET", prefix .. "epoch:" .. subject) or "0" end
local function drop(id)
  local subject = redis.call("HGET", keyOf(id), "subject")
  if not subject then return end
  redis.call("DEL", keyOf(id))
  redis.call("ZREM", listOf(subject), id)
end
local function live(id)
  local found = redis.call("HMGET", keyOf(id), "subject", "epoch", "ends")
  return found[1] and tonumber(found[3]) > now and found[2] == epochOf(found[1])
end
local function shown(id)
  local all = redis.call("HGETALL", keyOf(id))
  table.insert(all, "now")
  table.insert(all, tostring(now))
  table.insert(all, "id")
  table.insert(all, id)
  return all
end
`;

const CREATE = `${BASE}
local id, subject, epoch, scopes, agent, idle, absolute, most, replaces = unpack(ARGV, 2, 10)
local own = epochOf(subject)
if epoch ~= "" and epoch ~= own then return 0 end
if replaces ~= "" then drop(replaces) end
drop(id)
local list = listOf(subject)
for _, other in ipairs(redis.call("ZRANGE", list, 0, -1)) do
  if not live(other) then redis.call("DEL", keyOf(other)) redis.call("ZREM", list, other) end
end
local many = redis.call("ZCARD", list) - tonumber(most)
if many >= 0 then for _, old in ipairs(redis.call("ZRANGE", list, 0, many)) do drop(old) end end
local last = now + math.floor(absolute)
local ends = math.min(last, now + math.floor(idle))
redis.call("HSET", keyOf(id), "subject", subject, "epoch", own, "scopes", scopes, "agent", agent, "began", now,
  "used", now, "ends", ends, "last", last)
if #ARGV > 10 then redis.call("HSET", keyOf(id), unpack(ARGV, 11)) end
redis.call("PEXPIREAT", keyOf(id), ends)
redis.call("ZADD", list, redis.call("INCR", prefix .. "count"), id)
redis.call("PEXPIRE", list, math.max(redis.call("PTTL", list), math.floor(absolute)))
return 1`;
const FIND = `${BASE}
return live(ARGV[2]) and shown(ARGV[2]) or false`;
const LIST = `${BASE}
local found = {}
for _, id in ipairs(redis.call("ZREVRANGE", listOf(ARGV[2]), 0, -1)) do if live(id) then table.insert(found, shown(id)) end end
return found`;
const REMOVE = `${BASE}
drop(ARGV[2])`;
const EPOCH = `${BASE}
return epochOf(ARGV[2])`;
const RAISE = `${BASE}
redis.call("INCR", prefix .. "epoch:" .. ARGV[2])
for _, id in ipairs(redis.call("ZRANGE", listOf(ARGV[2]), 0, -1)) do redis.call("DEL", keyOf(id)) end
redis.call("DEL", listOf(ARGV[2]))`;

/** What belongs to users and ends, one hash each, a list for each user, and the epochs of users: as `UserRows` in Postgres. */
export class RedisEntries {
  readonly #redis: RedisRunner;
  readonly #prefix: string;
  readonly #kind: string;

  constructor({ redis, prefix = "{steward:auth}:" }: RedisEntriesOptions, kind: string) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#kind = kind;
  }

  /** Runs a script in which `live(id)`, `shown(id)`, `drop(id)`, `keyOf(id)` and `now` are known. */
  run(script: string, about: string, rest: readonly string[] = []): Promise<unknown> {
    return this.#redis.script(BASE + script, [this.#prefix], [this.#kind, about, ...rest]);
  }

  #known(script: string, about: string, rest: readonly string[] = []): Promise<unknown> {
    return this.#redis.script(script, [this.#prefix], [this.#kind, about, ...rest]);
  }

  /** `false`, and nothing is stored, where the epoch of the user is another than the given one. */
  async create(row: NewUserRow, more: readonly string[] = []): Promise<boolean> {
    const { id, subject, epoch, scopes, agent, idleMs, absoluteMs, maxPerUser, replaces = "" } = row;
    const times = [idleMs, absoluteMs, maxPerUser].map(String);
    const rest = [subject, String(epoch ?? ""), scopes.join(" "), agent, ...times, replaces, ...more];
    return (await this.#known(CREATE, id, rest)) === 1;
  }

  async find(id: string): Promise<Fields | undefined> {
    return fieldsOf(await this.#known(FIND, id));
  }

  /** Those of a user that go on, newest first. */
  async list(subject: string): Promise<readonly Fields[]> {
    const all = (await this.#known(LIST, subject)) as readonly unknown[]; // the script gives a list
    return all.map(fieldsOf).filter((one) => one !== undefined);
  }

  async remove(id: string): Promise<void> {
    await this.#known(REMOVE, id);
  }

  async epoch(subject: string): Promise<number> {
    return Number(await this.#known(EPOCH, subject));
  }

  async raiseEpoch(subject: string): Promise<void> {
    await this.#known(RAISE, subject);
  }
}

/** Names and values by turns, as Redis gives a hash; `undefined` where there is none. */
export function fieldsOf(reply: unknown): Fields | undefined {
  if (!Array.isArray(reply)) return undefined;
  const fields: Record<string, string> = {};
  for (let i = 0; i + 1 < reply.length; i += 2) fields[String(reply[i])] = String(reply[i + 1]);
  return fields;
}

/** What every entry says. */
export interface EntryBasis {
  readonly id: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly beganAtMs: number;
  readonly usedAtMs: number;
  readonly endsInMs: number;
}

/** Reads what every entry says. */
export function basisOf({ id = "", subject = "", scopes = "", began, used, ends, now }: Fields): EntryBasis {
  return {
    id,
    subject,
    scopes: scopes === "" ? [] : scopes.split(" "),
    beganAtMs: Number(began),
    usedAtMs: Number(used),
    endsInMs: Number(ends) - Number(now),
  };
}
