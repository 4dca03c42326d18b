
-- Those of one bucket with the most evidence. ARGV: how many, now, half-life. Returns key, good, bad, first, last.
local now, half_life, found = tonumber(ARGV[2]), tonumber(ARGV[3]), {}
for _, shelf in ipairs({ 'e', 'n' }) do
  for _, key in ipairs(redis.call('ZREVRANGE', base .. shelf, 0, tonumber(ARGV[1]) - 1)) do
    local earned = read(key, now, half_life)
    if earned and earned.good + earned.bad >= FADED then
      found[#found + 1] = { key, string.format('%.9g', earned.good), string.format('%.9g', earned.bad),
                            tostring(earned.first), tostring(earned.last) }
    end
  end
end
return found
