
-- Forgets one; returns how many were there.
return forget(ARGV[1])
