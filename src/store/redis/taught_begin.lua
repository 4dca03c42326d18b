-- What the classifier was taught, by all proxies:
--
--   <base>state    hash: count (of changes so far), born (which table it is)
--   <base>table    string: sum and mass of each cell, then ham and spam of each class of margins, 32 bits each
--   <base>log      stream of changes, numbered: c (cells), s and m (added to their sums and masses), k (classes)
--   <base>lessons  hash of what each message has added; <base>order: sorted set of them by when
--   <base>kept0, kept1  lists of ham and spam that are learned again; <base>cells: hash of their cells
--
-- ARGV: a lesson; then kinds, and how many to learn again of each.
-- Returns what the lesson has added, or an empty string; then of each that is learned again which, what, and its cells.
local base = KEYS[1]
local answer = { redis.call('HGET', base .. 'lessons', ARGV[1]) or '' }
for place = 2, #ARGV, 2 do
  local kept = base .. 'kept' .. ARGV[place]
  for _ = 1, math.min(tonumber(ARGV[place + 1]), redis.call('LLEN', kept)) do
    local id = redis.call('RPOPLPUSH', kept, kept)
    local noted, cells = redis.call('HGET', base .. 'lessons', id), redis.call('HGET', base .. 'cells', id)
    if noted and cells then
      for _, one in ipairs({ id, noted, cells }) do answer[#answer + 1] = one end
    else
      redis.call('LREM', kept, 0, id)
      redis.call('HDEL', base .. 'cells', id)
    end
  end
end
return answer
