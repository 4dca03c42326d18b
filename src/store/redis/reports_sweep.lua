
-- Forgets reports of days before ARGV[1] and after ARGV[2], at most ARGV[3]; returns those that were lost.
local most = tonumber(ARGV[3])
for _, range in ipairs({ { '-inf', '(' .. ARGV[1] }, { '(' .. ARGV[2], '+inf' } }) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. 'days', range[1], range[2], 'LIMIT', 0, most)) do
    lose(id, 'expired')
  end
end
return lost
