
-- Counts a message for a report; the same steps as in the other homes.
-- ARGV: day, domain, blob, rows that the blob counts as, network and row or nothing, rows at most, of them for a
-- domain, of these for a source, a report that is too short to give, octets of a row, seconds to keep.
-- Returns 1 if it is counted in a row, then what was lost.
local day, domain, blob, surplus, row = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local bound, of_domain, of_source = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local short, row_octets, kept = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])

-- The rows go that stand for the fewest messages.
local function shorten(id, by)
  local rows, all = {}, redis.call('HGETALL', base .. 'rows:' .. id)
  for at = 1, #all, 2 do rows[#rows + 1] = { row = all[at], messages = tonumber(all[at + 1]) } end
  table.sort(rows, function(a, b) return a.messages < b.messages or a.messages == b.messages and a.row < b.row end)
  local freed, messages = 0, 0
  for _, one in ipairs(rows) do
    if freed >= by then break end
    redis.call('HDEL', base .. 'rows:' .. id, one.row)
    redis.call('HINCRBY', base .. 'nets:' .. id, string.sub(one.row, 1, 32), -1)
    freed, messages = freed + units(one.row, row_octets), messages + one.messages
  end
  resize(id, -freed)
  redis.call('HINCRBY', base .. 'r:' .. id, 'left_out', messages)
end

local function has_room()
  if math.max(total(), redis.call('ZCARD', base .. 'days')) < bound then return true end
  -- What was not fetched on the day after it ended is probably not wanted.
  local oldest = redis.call('ZRANGE', base .. 'days', 0, 0, 'WITHSCORES')
  local newest = redis.call('ZREVRANGE', base .. 'days', 0, 0, 'WITHSCORES')
  for _, stale in ipairs({ oldest, newest }) do
    if stale[1] and (tonumber(stale[2]) + 1 < day or tonumber(stale[2]) > day + 1) then
      lose(stale[1], 'displaced')
      return true
    end
  end
  local longest = redis.call('ZREVRANGE', base .. 'sizes', 0, 0, 'WITHSCORES')
  if not longest[1] or tonumber(longest[2]) < short then return false end
  shorten(longest[1], math.floor(tonumber(longest[2]) / 4))
  return true
end

local function answer(counted)
  table.insert(lost, 1, counted)
  return lost
end

local id = redis.call('HGET', base .. 'ids', ARGV[1] .. ' ' .. domain)
if id and redis.call('EXISTS', base .. 'r:' .. id) == 0 then
  forget(id)
  id = false
end
if not id then
  if not has_room() then return answer('0') end
  id = tostring(redis.call('INCR', base .. 'next'))
  redis.call('HSET', base .. 'r:' .. id, 'day', day, 'domain', domain, 'blob', blob, 'left_out', 0, 'closed', 0,
    'until', 0)
  redis.call('HSET', base .. 'ids', ARGV[1] .. ' ' .. domain, id)
  redis.call('ZADD', base .. 'days', day, id)
  resize(id, surplus)
elseif redis.call('HGET', base .. 'r:' .. id, 'blob') ~= blob then
  redis.call('HSET', base .. 'r:' .. id, 'blob', blob)
end
local rows, counted = base .. 'rows:' .. id, false
if row ~= '' then
  local network = string.sub(row, 1, 32)
  if redis.call('HEXISTS', rows, row) == 1 then
    redis.call('HINCRBY', rows, row, 1)
    counted = true
  elseif tonumber(redis.call('ZSCORE', base .. 'sizes', id)) < of_domain
    and tonumber(redis.call('HGET', base .. 'nets:' .. id, network) or 0) < of_source and has_room() then
    redis.call('HSET', rows, row, 1)
    redis.call('HINCRBY', base .. 'nets:' .. id, network, 1)
    resize(id, units(row, row_octets))
    counted = true
  end
end
if not counted then redis.call('HINCRBY', base .. 'r:' .. id, 'left_out', 1) end
for _, name in ipairs({ 'r:' .. id, 'rows:' .. id, 'nets:' .. id, 'ids', 'days', 'sizes', 'total', 'next' }) do
  redis.call('EXPIRE', base .. name, kept)
end
return answer(counted and '1' or '0')
