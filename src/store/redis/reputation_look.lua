
-- What is known of one. ARGV: key, now, half-life. Returns good, bad, first, last, or nothing.
local earned = read(ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]))
if not earned or earned.good + earned.bad < FADED then return {} end
return { string.format('%.9g', earned.good), string.format('%.9g', earned.bad), tostring(earned.first), tostring(earned.last) }
