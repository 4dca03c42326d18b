-- Counts a message through a hop.
--
--   <base>h:<hop>     hash: n1 to n4, how many messages of each kind; first, last; `d:<domain>`, author domains by
--                     the order in which they came
--   <base>last        sorted set of hops by when they were last seen
--   <base>worth       by what they are worth: who goes first when there are too many
--   <base>forwarded   by messages forwarded, for lists
--
-- ARGV: hop, author domain, kind from 1, time, bound, how many go at once, seconds to keep, author domains at most.
local base, hop, author, kind, at = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local bound, freed, kept = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local key = base .. 'h:' .. hop

local function bits(number)
  local count = 0
  while number >= 1 do number, count = number / 2, count + 1 end
  return count
end

local known = redis.call('HMGET', key, 'first', 'last', 'domains')
local first, last, domains = tonumber(known[1] or at), tonumber(known[2] or at), tonumber(known[3] or 0)
if not known[1] then
  local many = redis.call('ZCARD', base .. 'worth')
  if many >= bound then
    local worst = redis.call('ZPOPMIN', base .. 'worth', math.max(many + 1 - bound, freed))
    for i = 1, #worst, 2 do
      redis.call('DEL', base .. 'h:' .. worst[i])
      redis.call('ZREM', base .. 'last', worst[i])
      redis.call('ZREM', base .. 'forwarded', worst[i])
    end
  end
end
redis.call('HINCRBY', key, 'n' .. kind, 1)
first, last = math.min(first, at), math.max(last, at)
if kind == '1' and domains < tonumber(ARGV[8]) and redis.call('HSETNX', key, 'd:' .. author, domains) == 1 then
  domains = domains + 1
end
redis.call('HSET', key, 'first', first, 'last', last, 'domains', domains)
local forwarded = tonumber(redis.call('HGET', key, 'n1') or 0)
redis.call('ZADD', base .. 'last', last, hop)
-- As in the other homes: by powers of two of what was forwarded, then by when it was last seen.
redis.call('ZADD', base .. 'worth', bits(forwarded) * 8589934592 + last, hop)
redis.call('ZADD', base .. 'forwarded', forwarded, hop)
for _, name in ipairs({ key, base .. 'last', base .. 'worth', base .. 'forwarded' }) do
  redis.call('EXPIRE', name, kept)
end
return 1
