-- The latest triplets of one bucket, for operators: all of it is looked through, which its bound makes bearable.
-- ARGV: 1 if only those that wait, how many at most, now. Returns key and entry in turn.
local base, most, now = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local found = {}
for _, shelf in ipairs(ARGV[1] == '1' and { 'w' } or { 'w', 'c' }) do
  for _, crowd in ipairs(redis.call('ZRANGE', base .. shelf, 0, -1)) do
    local entries = redis.call('HGETALL', base .. shelf .. ':' .. crowd)
    for at = 1, #entries, 2 do
      local _, last, until_ = struct.unpack('<I4I4I4', entries[at + 1])
      if until_ >= now then found[#found + 1] = { last = last, key = entries[at], entry = entries[at + 1] } end
    end
  end
end
table.sort(found, function(a, b) return a.last > b.last or a.last == b.last and a.key < b.key end)
local answer = {}
for at = 1, math.min(most, #found) do
  answer[#answer + 1] = found[at].key
  answer[#answer + 1] = found[at].entry
end
return answer
