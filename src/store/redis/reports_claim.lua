
-- Closes a report for whoever asks. ARGV: id, the last day that is over, now, length of a claim.
-- Returns nothing if it is not to be had; else blob and left_out, then addresses, then rows and messages in turn.
local id, now, lease = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local key = base .. 'r:' .. id
local known = redis.call('HMGET', key, 'day', 'domain', 'blob', 'left_out', 'until')
if not known[1] or tonumber(known[1]) > tonumber(ARGV[2]) then return {} end
local claimed = tonumber(known[5])
if now < claimed and claimed <= now + lease then return {} end
redis.call('HSET', key, 'closed', 1, 'until', now + lease)
local name = known[1] .. ' ' .. known[2]
if redis.call('HGET', base .. 'ids', name) == id then redis.call('HDEL', base .. 'ids', name) end
return { { known[3], known[4] }, redis.call('SMEMBERS', base .. 'settled:' .. id), redis.call('HGETALL', base .. 'rows:' .. id) }
