-- Stands behind turn.lua in a transaction in which the results went ahead of it (calm.lua): where the turn did not run, it
-- takes them away again; nobody has seen them. Sent as a text, so that it can't be missing where turn.lua is.
-- KEYS  1 results  2 stats
-- ARGV  1 worker  2 turn, packed (a double)  3 how many results  4 the first of them
-- Returns  1 where the turn did not run, 0 where it did
local ran = redis.pcall('HGET', KEYS[2], 'turn:' .. ARGV[1])
if type(ran) == 'string' and string.sub(ran, 1, 8) == ARGV[2] then return 0 end
-- Where they are not on top, this is no transaction, whatever the server said: then they stay, rather than that others go.
if redis.pcall('LINDEX', KEYS[1], ARGV[3] - 1) == ARGV[4] then redis.call('LTRIM', KEYS[1], ARGV[3], -1) end
return 1
