
-- Reports of days up to ARGV[1] which nobody has claimed at ARGV[2]; a claim is no longer than ARGV[3].
-- Returns id and day in turn, oldest first.
local now, lease, due = tonumber(ARGV[2]), tonumber(ARGV[3]), {}
local ended = redis.call('ZRANGEBYSCORE', base .. 'days', '-inf', ARGV[1], 'WITHSCORES')
for at = 1, #ended, 2 do
  local claimed = tonumber(redis.call('HGET', base .. 'r:' .. ended[at], 'until') or -1)
  if claimed >= 0 and not (now < claimed and claimed <= now + lease) then
    due[#due + 1] = ended[at]
    due[#due + 1] = ended[at + 1]
  end
end
return due
