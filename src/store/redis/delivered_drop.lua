-- Forgets deliveries. KEYS[1]: the set of them. ARGV: their names.
for at = 1, #ARGV do
  redis.call('ZREM', KEYS[1], ARGV[at])
end
return 1
