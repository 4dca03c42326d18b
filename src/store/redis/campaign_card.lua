-- The card of one campaign:
--
--   <base>card     hash of counts; `x:<domain>`, some sender domains
--   <base>n, s, a  HyperLogLogs of client networks, sender domains and authenticated domains
--
-- ARGV: when, seconds to keep; then either nothing more, to read; or 1, network, sender domain, authenticated domain,
-- examples at most, and names of counts with what is added to each in turn.
-- Returns the three numbers, then fields and values; only the first where it was written to.
local base, at = KEYS[1], tonumber(ARGV[1])
local sets = { 'n', 's', 'a' }
if ARGV[3] then
  for position, set in ipairs(sets) do
    if ARGV[3 + position] ~= '' then redis.call('PFADD', base .. set, ARGV[3 + position]) end
  end
  local known = redis.call('HMGET', base .. 'card', 'first', 'last', 'examples')
  redis.call('HSET', base .. 'card', 'first', known[1] or at, 'last', math.max(tonumber(known[2] or at), at))
  if ARGV[5] ~= '' and tonumber(known[3] or 0) < tonumber(ARGV[7])
    and redis.call('HSETNX', base .. 'card', 'x:' .. ARGV[5], 1) == 1 then
    redis.call('HINCRBY', base .. 'card', 'examples', 1)
  end
  for position = 8, #ARGV, 2 do redis.call('HINCRBY', base .. 'card', ARGV[position], ARGV[position + 1]) end
  for _, name in ipairs({ 'card', 'n', 's', 'a' }) do redis.call('EXPIRE', base .. name, ARGV[2]) end
  return {}
end
local fields = redis.call('HGETALL', base .. 'card')
if #fields == 0 then return {} end
local answer = {}
for _, set in ipairs(sets) do answer[#answer + 1] = tostring(redis.call('PFCOUNT', base .. set)) end
for _, field in ipairs(fields) do answer[#answer + 1] = field end
return answer
