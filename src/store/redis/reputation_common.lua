-- Reputations, in buckets by neighbourhood:
--
--   <base>r:<key>  hash: good, bad, first, last; expires when it has faded
--   <base>n        sorted set of newcomers by the order of evidence, which time does not change: all fade alike
--   <base>e        of the established
local base = KEYS[1]
local FADED, ESTABLISHED, DOUBT = 0.05, 3, 3600

-- Evidence of a key as it is at `now`, and when it was seen first and last; nothing if there is none.
local function read(key, now, half_life)
  local known = redis.call('HMGET', base .. 'r:' .. key, 'good', 'bad', 'first', 'last')
  if not known[1] then return nil end
  local last = tonumber(known[4])
  local left = 2 ^ (-math.max(0, now - last) / half_life)
  return { good = tonumber(known[1]) * left, bad = tonumber(known[2]) * left, first = tonumber(known[3]), last = last }
end

local function forget(key)
  redis.call('ZREM', base .. 'n', key)
  redis.call('ZREM', base .. 'e', key)
  return redis.call('DEL', base .. 'r:' .. key)
end
