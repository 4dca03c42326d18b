-- Some hops, those with most forwarded messages first, for operators.
-- ARGV: from which rank, how many are looked at, time since which they were seen, 1 if only those that forward.
-- Returns how many were looked at, then each hop as name, counts, first, last, author domains in their order.
local base, since = KEYS[1], tonumber(ARGV[3])
local least = ARGV[4] == '1' and '1' or '-inf'
local names = redis.call('ZREVRANGEBYSCORE', base .. 'forwarded', '+inf', least, 'LIMIT', ARGV[1], ARGV[2])
local found = { { tostring(#names) } }
for _, name in ipairs(names) do
  local fields = redis.call('HGETALL', base .. 'h:' .. name)
  local known, domains = {}, {}
  for at = 1, #fields, 2 do
    if string.sub(fields[at], 1, 2) == 'd:' then
      domains[#domains + 1] = { name = string.sub(fields[at], 3), order = tonumber(fields[at + 1]) }
    else
      known[fields[at]] = fields[at + 1]
    end
  end
  if known.last and tonumber(known.last) >= since then
    local hop = { name, known.n1 or '0', known.n2 or '0', known.n3 or '0', known.n4 or '0', known.first, known.last }
    table.sort(domains, function(a, b) return a.order < b.order end)
    for _, domain in ipairs(domains) do hop[#hop + 1] = domain.name end
    found[#found + 1] = hop
  end
end
return found
