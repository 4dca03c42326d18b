-- All of the table; see taught_begin.lua. Where there is none, the one that is proposed becomes it: a Redis that has
-- forgotten everything is told again what it was.
--
-- ARGV: seconds to keep; a name for a table, its changes so far, and its octets, which may be none.
-- Returns which table it is, changes so far, and its octets.
local base = KEYS[1]
if redis.call('HSETNX', base .. 'state', 'born', ARGV[2]) == 1 then
  redis.call('HSET', base .. 'state', 'count', ARGV[3])
  redis.call('DEL', base .. 'log')
  if ARGV[4] ~= '' then redis.call('SET', base .. 'table', ARGV[4]) end
end
for _, name in ipairs({ 'state', 'table', 'log', 'lessons', 'order', 'kept0', 'kept1', 'cells' }) do
  redis.call('EXPIRE', base .. name, ARGV[1])
end
local state = redis.call('HMGET', base .. 'state', 'born', 'count')
return { state[1], state[2] or '0', redis.call('GET', base .. 'table') or '' }
