import type { ExactRate } from "../policy/policy.ts";

/**
 * What runs in Redis. Instants are in us since the epoch below, so that fractions of a step are exact to 0.02 us. As
 * arguments a rate is its kind, limit, window in us and burst. A log is a list of instants, the oldest first; a smooth rate is
 * the instant at which everything will have come back (GCRA, ITU-T I.371).
 */
const EPOCH_US = 1_700_000_000_000_000;

/** The wall clock of an instance as the scripts measure it, for a Redis that refuses TIME in scripts. */
export function sinceEpochUs(wallMs: number): number {
  return Math.round(wallMs * 1_000 - EPOCH_US);
}

const NOW = `
local function instant(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2] - ${EPOCH_US}
end
local function whole(us) return string.format('%.0f', us) end
local function exact(us) return string.format('%.3f', us) end
`;

/**
 * Decides under the given rates, which stand in the script itself: a call sends its keys, and no more where it costs 1.
 * `always`: refused calls are charged too.
 *
 * KEYS: one for each rate. ARGV: none, or one text: cost, units to charge, and the instant where it is not that of Redis.
 * Gives one text: 1 where it is within all rates, 1 where it was charged, then of each rate used (in thousandths), wait,
 * reset and instant in us. One text takes a driver a third of the time that a list takes.
 */
export function takeScript(rates: readonly ExactRate[], always: boolean): string {
  const table = rates.map(
    ({ kind, limit, windowMs, burst }) =>
      `{ log = ${kind === "log"}, limit = ${limit}, window = ${windowMs * 1_000}, burst = ${burst}, wait = 0 }`,
  );
  return `local rates, always = { ${table.join(", ")} }, ${always}\n${TAKE}`;
}

const TAKE = `${NOW}
local cost, units, given = 1, 1, ''
if ARGV[1] then
  cost, units, given = string.match(ARGV[1], '^(%d+),(%d+),(.*)$')
  cost, units = tonumber(cost), tonumber(units)
end
local now, within = instant(given), true
for i, rate in ipairs(rates) do
  local key = KEYS[i]
  rate.at = now
  if rate.log then
    rate.at = math.max(now, tonumber(redis.call('LINDEX', key, -1)) or now)
    local oldest = tonumber(redis.call('LINDEX', key, 0))
    while oldest and rate.at - oldest >= rate.window do
      redis.call('LPOP', key)
      oldest = tonumber(redis.call('LINDEX', key, 0))
    end
    rate.used = redis.call('LLEN', key)
    local over = rate.used + cost - rate.limit
    if over > rate.used then rate.wait = rate.window
    elseif over > 0 then rate.wait = tonumber(redis.call('LINDEX', key, over - 1)) + rate.window - rate.at end
  else
    rate.step = rate.window / rate.limit
    local back = tonumber(redis.call('GET', key))
    rate.back = back and back > now and math.min(back, now + rate.burst * rate.step) or now
    rate.used = (rate.back - now) / rate.step
    rate.wait = rate.back - now + (cost - rate.burst) * rate.step
  end
  if rate.wait > 0.5 then within = false else rate.wait = 0 end
end
local charged = units > 0 and (within or always)
local reply = { within and 1 or 0, charged and 1 or 0 }
for i, key in ipairs(KEYS) do
  local rate, reset = rates[i], 0
  if rate.log then
    if charged then
      local noted = whole(rate.at)
      for _ = 1, units do redis.call('RPUSH', key, noted) end
      if rate.used + units > rate.limit then redis.call('LTRIM', key, -rate.limit, -1) end
      redis.call('PEXPIRE', key, math.ceil(rate.window / 1000))
      rate.used = math.min(rate.used + units, rate.limit)
    end
    local newest = tonumber(redis.call('LINDEX', key, -1))
    if newest then reset = newest + rate.window - rate.at end
  else
    if charged then
      rate.back = math.min(rate.back + units * rate.step, now + rate.burst * rate.step)
      rate.used = (rate.back - now) / rate.step
      redis.call('SET', key, exact(rate.back), 'PX', math.ceil((rate.back - now) / 1000) + 1)
    end
    reset = rate.back - now
  end
  reply[#reply + 1] = string.format('%.0f,%.0f,%.0f,%.0f', rate.used * 1000, math.ceil(rate.wait), math.ceil(reset), rate.at)
end
return table.concat(reply, ',')
`;

/** KEYS: one for each rate. ARGV: instant or empty, units, then of each rate: kind, limit, window, burst, and the instant they were noted under. */
export const REFUND: string = `${NOW}
local now, units = instant(ARGV[1]), tonumber(ARGV[2])
for i, key in ipairs(KEYS) do
  local function argument(n) return ARGV[5 * i - 3 + n] end
  if argument(1) == 'log' then
    redis.call('LREM', key, -units, argument(5))
  else
    local back = (tonumber(redis.call('GET', key)) or now) - units * tonumber(argument(3)) / tonumber(argument(2))
    if back > now then redis.call('SET', key, exact(back), 'PX', math.ceil((back - now) / 1000) + 1)
    else redis.call('DEL', key) end
  end
end
return 1
`;

/**
 * Adds what an instance counted alone. KEYS: one rate. ARGV: instant or empty, the rate, then for a log the ages of calls
 * in us, for a smooth rate the units in use.
 */
export const MERGE: string = `${NOW}
local now, key = instant(ARGV[1]), KEYS[1]
local limit, window, burst = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if ARGV[2] == 'log' then
  local all = {}
  for _, noted in ipairs(redis.call('LRANGE', key, 0, -1)) do all[#all + 1] = tonumber(noted) end
  for i = 6, #ARGV do all[#all + 1] = now - tonumber(ARGV[i]) end
  table.sort(all)
  redis.call('DEL', key)
  for i = math.max(1, #all - limit + 1), #all do redis.call('RPUSH', key, whole(all[i])) end
  redis.call('PEXPIRE', key, math.ceil(window / 1000))
else
  local step = window / limit
  local back = math.max(tonumber(redis.call('GET', key)) or now, now) + tonumber(ARGV[6]) * step
  back = math.min(back, now + burst * step)
  redis.call('SET', key, exact(back), 'PX', math.ceil((back - now) / 1000) + 1)
end
return 1
`;

/** KEYS: the set of instances. ARGV: instant or empty, id, how long one counts after its last sign of life, in us. Gives how many there are. */
export const HEARTBEAT: string = `${NOW}
local now, ttl = instant(ARGV[1]), tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ttl)
redis.call('PEXPIRE', KEYS[1], math.ceil(ttl / 1000))
return redis.call('ZCARD', KEYS[1])
`;
