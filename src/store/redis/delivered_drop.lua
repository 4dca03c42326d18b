-- Forgets a delivery. KEYS[1]: its name.
return redis.call('DEL', KEYS[1])
