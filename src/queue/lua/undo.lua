-- Stands behind turn.lua in a transaction in which results, or the ledger's entries of what begins, or both, went ahead of
-- it (calm.lua): where the turn did not run, it takes them away again; nobody has seen them. Sent as a text, so that it
-- can't be missing where turn.lua is.
-- KEYS  1 results  2 stats
-- ARGV  1 worker  2 turn, packed (a double)  3 how many results  4 the first of them; then, where entries went ahead: 5 the
--       first of these  6 the common beginning of their keys  7.. the rest of each key, behind its length (fold.lua's BEGUN)
-- Returns  1 where the turn did not run, 0 where it did
local ran = redis.pcall('HGET', KEYS[2], 'turn:' .. ARGV[1])
if type(ran) == 'string' and string.sub(ran, 1, 8) == ARGV[2] then return 0 end
-- Where they are not on top, this is no transaction, whatever the server said: then they stay, rather than that others go.
if redis.pcall('LINDEX', KEYS[1], ARGV[3] - 1) == ARGV[4] then redis.call('LTRIM', KEYS[1], ARGV[3], -1) end
local entries = {}
for i = 7, #ARGV do
  local at, key = 1, nil
  while at <= #ARGV[i] do
    key, at = struct.unpack('<I2c0', ARGV[i], at)
    entries[#entries + 1] = ARGV[6] .. key
  end
end
-- They were written all or none, and none where one of the keys was taken.
if entries[1] and redis.pcall('GET', entries[1]) == ARGV[5] then redis.call('DEL', unpack(entries)) end
return 1
