-- Takes from one bucket, which is kept as the moment at which it will be full, in microseconds since 1970. A full
-- bucket is none. ARGV: now, how long an empty bucket takes to be full, how long what is wanted takes; 1 to take,
-- 0 to look; 1 if debt is allowed. The same steps as in memory. Returns 1 if it was there, and what lacks now.
local now, span, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full = tonumber(redis.call('GET', KEYS[1]) or 0)
local lacks = math.min(math.max(full - now, 0), span * 2)
local wanted = lacks + cost
local is_within = wanted <= span
if ARGV[4] == '1' then
  if is_within then
    lacks = wanted
  elseif ARGV[5] == '1' then
    lacks = math.min(wanted, span * 2)
  end
  if lacks > 0 then
    redis.call('SET', KEYS[1], string.format('%.0f', now + lacks), 'PX', string.format('%.0f', math.ceil(lacks / 1000) + 1000))
  end
end
return { is_within and 1 or 0, lacks, wanted }
