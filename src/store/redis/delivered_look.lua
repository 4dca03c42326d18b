-- Whether a delivery was noted. KEYS[1]: its name. ARGV: now.
local until_ = tonumber(redis.call('GET', KEYS[1]))
return (until_ and until_ > tonumber(ARGV[1])) and 1 or 0
