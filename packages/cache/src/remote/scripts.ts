/**
 * What runs inside of Redis. An entry is a hash, so that one UNLINK, also by hand, makes it void with its leases:
 * `v` value, `c` clock of the invalidations at which its load began, `e` epoch of that clock, `a` since when, `f` fresh
 * until, `s` usable until, `t` tags; `l` token of who loads, `b` since when, `x` until when, `p` the token before it, `w`
 * somebody waits.
 *
 * Marks are one hash in the same slot: `e` epoch (random, made when it is missing, so that a loss of marks makes all
 * entries void), `c` clock, `f` floor, `n` newest tag, `t:<tag>` clock of its invalidation.
 *
 * Order is by that clock alone. Time, for how long something lasts, is the server's.
 *
 * A Redis whose memory is full refuses commands that need some, unless the script has written before
 * (scriptVerifyOOM in its script.c). So what makes void begins with a write that needs none, and SET with one that does: it
 * is refused before it has changed anything.
 */
const PRELUDE = `
local function marks(key, seed)
  local m = redis.call('HMGET', key, 'e', 'c', 'f', 'n')
  if m[1] then return m end
  redis.call('HSET', key, 'e', seed, 'c', 1, 'f', 0, 'n', 0)
  return {seed, '1', '0', '0'}
end
local function time()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
`;

/**
 * KEYS entry, marks. ARGV one text: token (empty: only look), lease ms, wait ms, seed. Gives one text, because a driver takes
 * much less time for it than for a list: a line of state, epoch and clock, then of a value its clock, fresh ms, usable ms, age
 * ms and the length of its tags, or of `W` the age of the lease; behind the line the tags and the bytes.
 */
export const LOOK: string = `${PRELUDE}
local token, lease, wait, seed = string.match(ARGV[1], '^([^,]*),(%d+),(%d+),(.+)$')
local m = marks(KEYS[2], seed)
local e = redis.call('HMGET', KEYS[1], 'v', 'c', 'e', 'f', 's', 't', 'a', 'l', 'x', 'b', 'p')
local now = time()
local ok = e[1] and e[3] == m[1] and tonumber(e[2]) >= tonumber(m[3])
if ok and tonumber(e[2]) < tonumber(m[4]) and e[6] ~= '' then
  for tag in string.gmatch(e[6], '[^,]+') do
    local mark = redis.call('HGET', KEYS[2], 't:' .. tag)
    if mark and tonumber(mark) > tonumber(e[2]) then ok = false end
  end
end
if ok then ok = now < tonumber(e[5]) end
local function reply(state)
  local head = state .. ',' .. m[1] .. ',' .. m[2]
  if not ok then return head .. '\\n' end
  local times = string.format(',%.0f,%.0f,%.0f,', e[4] - now, e[5] - now, now - e[7])
  return head .. ',' .. e[2] .. times .. #e[6] .. '\\n' .. e[6] .. e[1] -- %s would end at a zero byte
end
if ok and now < tonumber(e[4]) then return reply('F') end
if token == '' then return reply(ok and 'S' or 'M') end
local held = e[8] and e[8] ~= token and now < tonumber(e[9])
if held and (e[11] or now - e[10] < tonumber(wait)) then
  if ok then return reply('S') end
  redis.call('HSET', KEYS[1], 'w', 1)
  return 'W,' .. m[1] .. ',' .. m[2] .. ',' .. (now - e[10]) .. '\\n'
end
if e[1] and not ok then redis.call('HDEL', KEYS[1], 'v', 't') end
redis.call('HSET', KEYS[1], 'l', token, 'b', now, 'x', now + lease)
if held then redis.call('HSET', KEYS[1], 'p', e[8]) else redis.call('HDEL', KEYS[1], 'p') end
if redis.call('PTTL', KEYS[1]) < tonumber(lease) then redis.call('PEXPIRE', KEYS[1], lease) end
return reply(ok and 'R' or 'L')`;

const WAKE = `
local function wake(topic, message)
  if redis.call('HDEL', KEYS[1], 'w') == 1 then redis.call('PUBLISH', topic, message) end
end
`;

/** KEYS entry. ARGV token, bytes, epoch, clock, fresh ms, usable ms, tags, topic, message that wakes. Gives 1, or 0 where it is refused. */
export const PUT: string = `${PRELUDE}${WAKE}
local l = redis.call('HMGET', KEYS[1], 'l', 'p')
if l[1] ~= ARGV[1] and l[2] ~= ARGV[1] then return 0 end
wake(ARGV[8], ARGV[9])
if tonumber(ARGV[6]) <= 0 then redis.call('UNLINK', KEYS[1]) return 1 end
local now = time()
redis.call('HDEL', KEYS[1], 'l', 'x', 'b', 'p')
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'e', ARGV[3], 'c', ARGV[4], 'f', now + ARGV[5], 's', now + ARGV[6], 'a', now, 't', ARGV[7])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return 1`;

/** KEYS entry. ARGV token, ms in which no one else is to try where there is an old value, topic, message that wakes. */
export const GIVE_UP: string = `${PRELUDE}${WAKE}
if redis.call('HGET', KEYS[1], 'l') ~= ARGV[1] then return 0 end
local s = redis.call('HGET', KEYS[1], 's')
local now = time()
if redis.call('HEXISTS', KEYS[1], 'v') == 1 and s and now < tonumber(s) then
  redis.call('HSET', KEYS[1], 'b', now, 'x', now + ARGV[2], 'p', '-')
else redis.call('HDEL', KEYS[1], 'l', 'x', 'b', 'p') end
wake(ARGV[3], ARGV[4])
return 1`;

const FREES = `redis.call('HDEL', MARKS, '-')
`;

const ANNOUNCE = `
local function announce(m, clock, topic, shard, kind, what)
  redis.call('HSET', MARKS, 'c', clock)
  redis.call('PUBLISH', topic, shard .. ' ' .. m[1] .. ' ' .. clock .. ' ' .. kind .. ' ' .. what)
  return {m[1], clock}
end
`;

/** KEYS entry, marks. ARGV seed, topic, shard, key, bytes, fresh ms, usable ms, tags. Gives epoch and clock. */
export const SET: string = `${PRELUDE}local MARKS = KEYS[2]${ANNOUNCE}
local keeps = tonumber(ARGV[7]) > 0
if not keeps then ${FREES}end
local m = marks(MARKS, ARGV[1])
local clock = m[2] + 1
if keeps then redis.call('HSET', MARKS, 'c', clock) end
redis.call('UNLINK', KEYS[1])
if keeps then
  local now = time()
  redis.call('HSET', KEYS[1], 'v', ARGV[5], 'e', m[1], 'c', clock, 'f', now + ARGV[6], 's', now + ARGV[7], 'a', now, 't', ARGV[8])
  redis.call('PEXPIRE', KEYS[1], ARGV[7])
end
return announce(m, clock, ARGV[2], ARGV[3], 'k', ARGV[4])`;

/** KEYS entry, marks. ARGV seed, topic, shard, key. Gives epoch and clock. */
export const DELETE: string = `${PRELUDE}local MARKS = KEYS[2]${ANNOUNCE}
${FREES}local m = marks(MARKS, ARGV[1])
redis.call('UNLINK', KEYS[1])
return announce(m, m[2] + 1, ARGV[2], ARGV[3], 'k', ARGV[4])`;

/** KEYS entry, marks. ARGV seed, topic, shard, key. Gives epoch and clock. */
export const EXPIRE: string = `${PRELUDE}local MARKS = KEYS[2]${ANNOUNCE}
${FREES}local m = marks(MARKS, ARGV[1])
local e = redis.call('HMGET', KEYS[1], 'f', 's')
local now = time()
if e[1] and e[2] - e[1] > 0 then
  local usable = math.min(tonumber(e[2]), now + e[2] - e[1])
  redis.call('HSET', KEYS[1], 'f', math.min(tonumber(e[1]), now), 's', usable)
  redis.call('HDEL', KEYS[1], 'l', 'x', 'b', 'p')
  redis.call('PEXPIRE', KEYS[1], math.max(1, usable - now))
else redis.call('UNLINK', KEYS[1]) end
return announce(m, m[2] + 1, ARGV[2], ARGV[3], 'x', ARGV[4])`;

/** KEYS marks. ARGV seed, topic, shard, tags joined by commas, most tags. Gives epoch and clock. */
export const TAG: string = `${PRELUDE}local MARKS = KEYS[1]${ANNOUNCE}
${FREES}local m = marks(MARKS, ARGV[1])
local clock = m[2] + 1
if redis.call('HLEN', MARKS) > ARGV[5] + 4 then
  redis.call('UNLINK', MARKS)
  redis.call('HSET', MARKS, 'e', m[1], 'f', clock)
end
for tag in string.gmatch(ARGV[4], '[^,]+') do redis.call('HSET', MARKS, 't:' .. tag, clock) end
redis.call('HSET', MARKS, 'n', clock)
return announce(m, clock, ARGV[2], ARGV[3], 't', ARGV[4])`;

/** KEYS marks. ARGV seed, topic, shard, clock that it has to exceed. Gives epoch and clock. */
export const CLEAR: string = `${PRELUDE}local MARKS = KEYS[1]${ANNOUNCE}
${FREES}local m = marks(MARKS, ARGV[1])
local clock = math.max(tonumber(m[2]), tonumber(ARGV[4])) + 1
redis.call('UNLINK', MARKS)
redis.call('HSET', MARKS, 'e', m[1], 'f', clock, 'n', 0)
return announce(m, clock, ARGV[2], ARGV[3], 'a', '')`;

/** KEYS marks. ARGV seed, topic, shard. Shows all that listen that messages arrive. Gives epoch and clock. */
export const BEAT: string = `${PRELUDE}
local m = marks(KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3] .. ' ' .. m[1] .. ' ' .. m[2] .. ' h ')
return {m[1], tonumber(m[2])}`;
