-- Notes a delivery. KEYS[1]: its name. ARGV: until when, for how long; time is the caller's, so a key stays an hour longer.
redis.call('SET', KEYS[1], ARGV[1], 'EX', tonumber(ARGV[2]) + 3600)
return 1
