-- Which deliveries were noted. KEYS[1]: the set of them. ARGV: now, and their names.
local known, now = {}, tonumber(ARGV[1])
for at = 2, #ARGV do
  local until_ = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[at]))
  known[at - 1] = (until_ and until_ > now) and 1 or 0
end
return known
