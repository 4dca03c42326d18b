-- What was changed in the table since somebody has heard; see taught_begin.lua.
--
-- ARGV: changes heard of, entries at most.
-- Returns which table it is, changes so far; then of each that was not heard: number, cells, sum, mass, classes.
local base, heard = KEYS[1], tonumber(ARGV[1])
local state = redis.call('HMGET', base .. 'state', 'born', 'count')
local answer = { state[1] or '', state[2] or '0' }
if tonumber(answer[2]) > heard then
  for _, entry in ipairs(redis.call('XRANGE', base .. 'log', heard + 1 .. '-0', '+', 'COUNT', ARGV[2])) do
    answer[#answer + 1] = string.match(entry[1], '^%d+')
    for place = 2, #entry[2], 2 do answer[#answer + 1] = entry[2][place] end
  end
end
return answer
