-- Changes what lessons have added; see taught_begin.lua.
--
-- ARGV: which table it is; seconds to keep; lessons, kept lessons of each kind, and changes in the log at most; cells of the table; then of
-- each lesson which, when, its kind, what it has added so far and from now on (empty: nothing), its cells (each as the
-- distance from the one before, seven bits to an octet), what is added to their sums and masses, classes that count one
-- less and one more (or -1), and 1 if it is learned again from time to time.
-- Returns 1 for each that was changed, and 0 where somebody else was faster; nothing if it is another table.
local base, ttl, lessons, most, entries, size =
  KEYS[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
if redis.call('HGET', base .. 'state', 'born') ~= ARGV[1] then return {} end
local AT_ONCE = 400

local function add(cells, sum, mass)
  local cell, distance, factor, batch = 0, 0, 1, {}
  local function flush()
    if #batch > 0 then redis.call('BITFIELD', base .. 'table', 'OVERFLOW', 'SAT', unpack(batch)) end
    batch = {}
  end
  for position = 1, #cells do
    local octet = string.byte(cells, position)
    distance, factor = distance + (octet % 128) * factor, factor * 128
    if octet < 128 then
      cell, distance, factor = cell + distance, 0, 1
      -- Counts stand behind the last cell.
      if cell < size then
        for _, one in ipairs({ 'INCRBY', 'i32', '#' .. 2 * cell, sum, 'INCRBY', 'u32', '#' .. 2 * cell + 1, mass }) do
          batch[#batch + 1] = one
        end
      end
      if #batch >= 8 * AT_ONCE then flush() end
    end
  end
  flush()
end

local function forget(id)
  for kind = 0, 1 do redis.call('LREM', base .. 'kept' .. kind, 0, id) end
  redis.call('HDEL', base .. 'cells', id)
end

local answer = {}
for place = 7, #ARGV, 11 do
  local id, at, kind, before, after, cells = unpack(ARGV, place, place + 5)
  local sum, mass, less, more, again = unpack(ARGV, place + 6, place + 10)
  local is_ours = (redis.call('HGET', base .. 'lessons', id) or '') == before
  answer[#answer + 1] = is_ours and 1 or 0
  if is_ours then
    if sum ~= '0' or mass ~= '0' then add(cells, sum, mass) end
    for change, class in pairs({ [-1] = less, [1] = more }) do
      if class ~= '-1' then
        redis.call('BITFIELD', base .. 'table', 'OVERFLOW', 'SAT', 'INCRBY', 'u32', '#' .. 2 * size + class, change)
      end
    end
    if after == '' then
      redis.call('HDEL', base .. 'lessons', id)
      redis.call('ZREM', base .. 'order', id)
      forget(id)
    else
      redis.call('HSET', base .. 'lessons', id, after)
      redis.call('ZADD', base .. 'order', 'NX', at, id)
    end
    if again == '1' then
      forget(id)
      redis.call('HSET', base .. 'cells', id, cells)
      if redis.call('LPUSH', base .. 'kept' .. kind, id) > most then
        redis.call('HDEL', base .. 'cells', redis.call('RPOP', base .. 'kept' .. kind))
      end
    end
    local number = redis.call('HINCRBY', base .. 'state', 'count', 1)
    redis.call('XADD', base .. 'log', 'MAXLEN', '~', entries, number .. '-0', 'c', cells, 's', sum, 'm', mass, 'k', less .. ' ' .. more)
  end
end
while redis.call('ZCARD', base .. 'order') > lessons do
  local oldest = redis.call('ZPOPMIN', base .. 'order')[1]
  redis.call('HDEL', base .. 'lessons', oldest)
  forget(oldest)
end
for _, name in ipairs({ 'state', 'table', 'log', 'lessons', 'order', 'kept0', 'kept1', 'cells' }) do
  redis.call('EXPIRE', base .. name, ttl)
end
return answer
