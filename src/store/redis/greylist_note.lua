-- Notes what happened to triplets of one bucket, and keeps the bucket within its bound.
--
-- A bucket has two shelves, `w` for triplets that wait and `c` for those that have earned something:
--   <base><shelf>:<crowd>  hash, key of 24 octets -> entry of 17, as the other homes write it down
--   <base><shelf>          sorted set, crowd -> how many entries it has
--   <base><shelf>#         how many entries the shelf has
-- The hash of a crowd expires with its last entry; the counts are put right when they are met.
--
-- ARGV: now, 1 if the clock is not believed, bound, then for each event: crowd, key, what happened, seconds to keep.
local base, now, doubted, bound = KEYS[1], tonumber(ARGV[1]), ARGV[2] == '1', tonumber(ARGV[3])
local FORM, DOUBT, SAMPLED, SWEPT = '<I4I4I4I2I2B', 3600, 64, 32
local SKEW, LEAP, CREDIT_INTERVAL = 60, 6 * 3600, 3600
local displaced = 0

local function read(packed)
  local first, last, until_, attempts, deliveries, by_hand = struct.unpack(FORM, packed)
  return { first = first, last = last, until_ = until_, attempts = attempts, deliveries = deliveries,
           by_hand = by_hand }
end

local function write(entry)
  return struct.pack(FORM, entry.first, entry.last, math.min(entry.until_, 4294967295),
    math.min(entry.attempts, 65535), math.min(entry.deliveries, 65535), entry.by_hand)
end

-- Pairs of field and value, all of a small hash and some of a large one.
local function some(key, most)
  if redis.call('HLEN', key) <= most then return redis.call('HGETALL', key) end
  return redis.call('HRANDFIELD', key, most, 'WITHVALUES')
end

local function lengthen(key, milliseconds)
  if redis.call('PTTL', key) < milliseconds then redis.call('PEXPIRE', key, milliseconds) end
end

local function recount(shelf, crowd, by)
  redis.call('INCRBY', base .. shelf .. '#', by)
  if tonumber(redis.call('ZINCRBY', base .. shelf, by, crowd)) <= 0 then redis.call('ZREM', base .. shelf, crowd) end
end

local function take(shelf, crowd, key)
  if redis.call('HDEL', base .. shelf .. ':' .. crowd, key) == 1 then recount(shelf, crowd, -1) end
end

local function put(shelf, crowd, key, entry)
  local hash = base .. shelf .. ':' .. crowd
  if redis.call('HSET', hash, key, write(entry)) == 1 then recount(shelf, crowd, 1) end
  local kept = math.max(entry.until_ - now + DOUBT, DOUBT) * 1000
  for _, name in ipairs({ hash, base .. shelf, base .. shelf .. '#' }) do lengthen(name, kept) end
end

-- Puts the counts of a crowd right whose entries have expired; false if it has entries.
local function is_gone(shelf, crowd)
  local counted = tonumber(redis.call('ZSCORE', base .. shelf, crowd) or 0)
  local there = redis.call('HLEN', base .. shelf .. ':' .. crowd)
  if counted ~= there then recount(shelf, crowd, there - counted) end
  return there == 0
end

local function sweep(shelf)
  if redis.call('EXISTS', base .. shelf) == 0 then return end
  local crowd = redis.call('ZRANDMEMBER', base .. shelf)
  if is_gone(shelf, crowd) then return end
  local entries = some(base .. shelf .. ':' .. crowd, SWEPT)
  for at = 1, #entries, 2 do
    if read(entries[at + 1]).until_ < now then take(shelf, crowd, entries[at]) end
  end
end

-- The most crowded network gives one of its oldest, and what was let pass by hand last; false if nobody can.
local function displace(shelf)
  local top = redis.call('ZREVRANGE', base .. shelf, 0, 0, 'WITHSCORES')
  if #top == 0 then return false end
  local crowds = { top[1] }
  if tonumber(top[2]) <= 1 then crowds = redis.call('ZRANDMEMBER', base .. shelf, SAMPLED / 4) end
  local worst
  for _, crowd in ipairs(crowds) do
    if is_gone(shelf, crowd) then return true end
    local entries = some(base .. shelf .. ':' .. crowd, SAMPLED)
    for at = 1, #entries, 2 do
      local entry = read(entries[at + 1])
      if not worst or entry.by_hand < worst.by_hand
        or entry.by_hand == worst.by_hand and entry.last < worst.last then
        worst = { crowd = crowd, key = entries[at], by_hand = entry.by_hand, last = entry.last }
      end
    end
  end
  take(shelf, worst.crowd, worst.key)
  displaced = displaced + 1
  return true
end

-- What an entry becomes; the same as in the other homes.
local function apply(known, event, keep)
  if known and known.by_hand == 0 and known.deliveries == 0
    and (known.first > now + SKEW or event == 'attempt' and known.first + keep < now) then
    known = nil
  end
  local entry = known or { first = now, last = now, until_ = now + keep, attempts = 0, deliveries = 0, by_hand = 0 }
  if event == 'attempt' then
    entry.attempts = entry.attempts + 1
  elseif event == 'delivery' or event == 'credit' then
    if event == 'delivery' and not known then return nil end
    local is_ahead = entry.last > now + LEAP
    entry.until_ = is_ahead and now + keep or math.max(entry.until_, now + keep)
    if event == 'credit' and entry.deliveries > 0 and now - entry.last < CREDIT_INTERVAL and not is_ahead then
      return entry
    end
    entry.deliveries = entry.deliveries + 1
  elseif event == 'spam' then
    if not known or known.by_hand == 0 then return nil end
    entry.deliveries = 0
    return entry
  elseif event == 'pass' then
    entry.by_hand, entry.until_ = 1, now + keep
  else
    return nil
  end
  entry.last = now
  return entry
end

for at = 4, #ARGV, 4 do
  local crowd, key, event, keep = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local old
  for _, shelf in ipairs({ 'c', 'w' }) do
    local packed = redis.call('HGET', base .. shelf .. ':' .. crowd, key)
    if packed then old = { shelf = shelf, entry = read(packed) } end
  end
  local known = old and (doubted or old.entry.until_ >= now) and old.entry or nil
  local entry = apply(known, event, keep)
  local shelf = entry and ((entry.by_hand ~= 0 or entry.deliveries > 0) and 'c' or 'w')
  if old and old.shelf ~= shelf then take(old.shelf, crowd, key) end
  if entry then put(shelf, crowd, key, entry) end
end

if not doubted then
  sweep('w')
  sweep('c')
end
for _ = 1, 256 do
  local waiting, confirmed = tonumber(redis.call('GET', base .. 'w#') or 0), tonumber(redis.call('GET', base .. 'c#') or 0)
  if waiting + confirmed <= bound then break end
  if not displace(confirmed > bound / 4 * 3 and 'c' or 'w') then break end
end
return displaced
