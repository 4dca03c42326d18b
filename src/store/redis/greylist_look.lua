-- What is known of triplets: crowd and key in turn. See greylist_note.lua for how they lie.
local found = {}
for at = 1, #ARGV, 2 do
  local crowd, key = ARGV[at], ARGV[at + 1]
  found[#found + 1] = redis.call('HGET', KEYS[1] .. 'c:' .. crowd, key)
    or redis.call('HGET', KEYS[1] .. 'w:' .. crowd, key)
end
return found
