-- Redis by short names. A part of the scripts that say "-- uses: calls", or types.
-- KEYS, ARGV, what it returns: those of the script that uses it.

local call, try = redis.call, redis.pcall
