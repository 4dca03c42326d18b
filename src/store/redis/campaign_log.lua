-- What all proxies hear of a message, and which campaigns there are:
--
--   <base>log    stream of what is filed: g (who), c (campaign), d (digest), a (attachments), t (when)
--   <base>top    sorted set of campaigns by volume
--   <base>worth  the same, and those that were learned from before all others
--   <base>seen   by when they were last seen: of the oldest those of least worth go when there are too many
--
-- ARGV: campaign, when, volume to add, 1 if it was learned from, seconds to keep, campaigns at most, entries at most;
-- then who, digest and attachments, if there is something new to hear. Returns campaigns of which the cards may go.
local base, id, at, kept, bound = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[5]), tonumber(ARGV[6])
local LEARNED, SWEPT, DOUBT = 1000000000, 16, 3600
redis.call('ZINCRBY', base .. 'top', ARGV[3], id)
if ARGV[4] == '1' and tonumber(redis.call('ZSCORE', base .. 'worth', id) or 0) < LEARNED then
  redis.call('ZINCRBY', base .. 'worth', LEARNED, id)
end
redis.call('ZINCRBY', base .. 'worth', ARGV[3], id)
redis.call('ZADD', base .. 'seen', 'GT', at, id)
local gone = {}
local function forget(one)
  for _, index in ipairs({ 'top', 'worth', 'seen' }) do redis.call('ZREM', base .. index, one) end
  gone[#gone + 1] = one
end
for _, one in ipairs(redis.call('ZRANGEBYSCORE', base .. 'seen', '-inf', at - kept - DOUBT, 'LIMIT', 0, SWEPT)) do forget(one) end
local surplus = redis.call('ZCARD', base .. 'worth') - bound
if surplus > 0 then
  -- Of those not seen for longest the least worth; never the one that is noted, so that newcomers can grow.
  local old = {}
  for _, one in ipairs(redis.call('ZRANGE', base .. 'seen', 0, 4 * SWEPT - 1)) do
    if one ~= id then old[#old + 1] = { one, tonumber(redis.call('ZSCORE', base .. 'worth', one) or 0) } end
  end
  table.sort(old, function(a, b) return a[2] < b[2] end)
  for place = 1, math.min(surplus, SWEPT, #old) do forget(old[place][1]) end
end
if ARGV[8] then
  redis.call('XADD', base .. 'log', 'MAXLEN', '~', ARGV[7], '*', 'g', ARGV[8], 'c', id, 'd', ARGV[9], 'a', ARGV[10], 't', ARGV[2])
end
for _, name in ipairs({ 'log', 'top', 'worth', 'seen' }) do redis.call('EXPIRE', base .. name, kept + DOUBT) end
return gone
