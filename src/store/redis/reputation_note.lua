
-- Adds evidence to one. ARGV: key, now, half-life, good, bad, bound of the bucket. Returns how many were displaced.
local key, now, half_life, bound = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[6])
local earned = read(key, now, half_life) or { good = 0, bad = 0, first = now, last = now }
-- A clock that had gone wrong may have seen it later than now.
local last = earned.last > now + DOUBT and now or math.max(earned.last, now)
local good, bad = earned.good + tonumber(ARGV[4]), earned.bad + tonumber(ARGV[5])
local evidence, displaced = good + bad, 0
if evidence > 0 then
  local hash = base .. 'r:' .. key
  redis.call('HSET', hash, 'good', string.format('%.9g', good), 'bad', string.format('%.9g', bad),
    'first', earned.first, 'last', last)
  local logarithm = math.log(evidence) / math.log(2)
  local kept = math.ceil(math.max(0, logarithm - math.log(FADED) / math.log(2)) * half_life) + DOUBT
  redis.call('EXPIRE', hash, kept)
  local shelf, other = 'n', 'e'
  if evidence > ESTABLISHED then shelf, other = 'e', 'n' end
  redis.call('ZREM', base .. other, key)
  redis.call('ZADD', base .. shelf, string.format('%.17g', logarithm + last / half_life), key)
  if redis.call('TTL', base .. shelf) < kept then redis.call('EXPIRE', base .. shelf, kept) end
end
for _, shelf in ipairs({ 'n', 'e' }) do
  if redis.call('EXISTS', base .. shelf) == 1 then
    local some = redis.call('ZRANDMEMBER', base .. shelf)
    if redis.call('EXISTS', base .. 'r:' .. some) == 0 then redis.call('ZREM', base .. shelf, some) end
  end
end
-- Who has the least evidence goes; newcomers never displace the established, and have a quarter of the room.
for _ = 1, 64 do
  local newcomers, established = redis.call('ZCARD', base .. 'n'), redis.call('ZCARD', base .. 'e')
  if newcomers + established <= bound then break end
  local shelf = (established > bound / 4 * 3 or newcomers == 0) and 'e' or 'n'
  displaced = displaced + forget(redis.call('ZRANGE', base .. shelf, 0, 0)[1])
end
return displaced
