
-- What becomes of a claim. ARGV: id, what: `done`, `put_back` or `settled`; the address; addresses at most.
local id, key = ARGV[1], base .. 'r:' .. ARGV[1]
if redis.call('EXISTS', key) == 0 then return 0 end
if ARGV[2] == 'done' then
  forget(id)
elseif ARGV[2] == 'put_back' then
  redis.call('HSET', key, 'until', 0)
elseif redis.call('SCARD', base .. 'settled:' .. id) < tonumber(ARGV[4]) then
  redis.call('SADD', base .. 'settled:' .. id, ARGV[3])
  redis.call('EXPIRE', base .. 'settled:' .. id, redis.call('TTL', key))
end
return 1
