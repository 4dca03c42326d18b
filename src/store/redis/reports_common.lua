-- DMARC reports, all in one slot because they share one bound:
--
--   <base>r:<id>       hash: day, domain, blob (record and names, as the other homes write it down), left_out, closed
--                      (1 once claimed), until (of the claim)
--   <base>rows:<id>    hash: network and row -> messages
--   <base>nets:<id>    hash: network -> rows
--   <base>settled:<id> set of addresses
--   <base>ids          hash: day and domain -> id, of reports that are not closed
--   <base>days         sorted set of ids by day
--   <base>sizes        by how many rows they count as
--   <base>total        the sum of that
--   <base>next         the last id
local base = KEYS[1]
local lost = {}

local function total() return tonumber(redis.call('GET', base .. 'total') or 0) end

local function resize(id, by)
  redis.call('INCRBY', base .. 'total', by)
  redis.call('ZINCRBY', base .. 'sizes', by, id)
end

local function units(row, row_octets) return math.max(1, math.ceil((#row - 32) / row_octets)) end

local function forget(id)
  local known = redis.call('HMGET', base .. 'r:' .. id, 'day', 'domain')
  if known[1] then
    local name = known[1] .. ' ' .. known[2]
    if redis.call('HGET', base .. 'ids', name) == id then redis.call('HDEL', base .. 'ids', name) end
  end
  redis.call('DECRBY', base .. 'total', redis.call('ZSCORE', base .. 'sizes', id) or 0)
  redis.call('ZREM', base .. 'sizes', id)
  redis.call('ZREM', base .. 'days', id)
  for _, kind in ipairs({ 'r:', 'rows:', 'nets:', 'settled:' }) do redis.call('DEL', base .. kind .. id) end
end

-- Forgets a report that nobody has fetched, and says so.
local function lose(id, why)
  local known = redis.call('HMGET', base .. 'r:' .. id, 'day', 'domain')
  if known[1] then
    for _, word in ipairs({ why, known[2], known[1] }) do lost[#lost + 1] = word end
  end
  forget(id)
end
