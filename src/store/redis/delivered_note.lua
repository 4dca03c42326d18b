-- Notes deliveries, in one set by until when. KEYS[1]: it. ARGV: now, until when, for how long, how many at most, and their
-- names. Time is the caller's, so they stay an hour longer. Beyond the bound those go that end soonest.
local set, until_, lasts, most = KEYS[1], ARGV[2], tonumber(ARGV[3]) + 3600, tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', set, '-inf', tonumber(ARGV[1]) - 3600)
for at = 5, #ARGV do
  redis.call('ZADD', set, until_, ARGV[at])
end
local too_many = redis.call('ZCARD', set) - most
if too_many > 0 then
  redis.call('ZREMRANGEBYRANK', set, 0, too_many - 1)
end
-- Others in it may last longer.
if redis.call('TTL', set) < lasts then
  redis.call('EXPIRE', set, lasts)
end
return 1
