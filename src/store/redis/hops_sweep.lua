-- Forgets hops that were not seen since ARGV[1], at most ARGV[2]; returns how many there were.
local base = KEYS[1]
local old = redis.call('ZRANGEBYSCORE', base .. 'last', '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
for _, hop in ipairs(old) do
  redis.call('DEL', base .. 'h:' .. hop)
  for _, index in ipairs({ 'last', 'worth', 'forwarded' }) do redis.call('ZREM', base .. index, hop) end
end
return #old
