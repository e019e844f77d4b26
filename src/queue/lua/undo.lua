-- Stands behind turn.lua in a transaction in which results, or the ledger's entries of what begins, or both, went ahead of
-- it (calm.lua): where the turn did not run, it takes them away again; nobody has seen them. Sent as a text, so that it
-- can't be missing where turn.lua is: names are short, as Redis hashes that text each time.
-- KEYS  1 results  2 stats  3 claims:<worker>
-- ARGV  1 worker  2 turn, packed (a double)  3 how many results  4 the first of them; then, where entries went ahead: 5 the
--       first of these  6 the common beginning of their keys  7.. the rest of each key, behind its length (fold.lua's BEGUN)
-- Returns  1 where the turn did not run, 0 where it did
local A, K, call, try = ARGV, KEYS, redis.call, redis.pcall
local ran, n = try('HGET', K[2], 'turn:' .. A[1]), {}
if type(ran) == 'string' and ran:sub(1, 8) == A[2] then return 0 end
-- Where they are not on top, this is no transaction, whatever the server said: then they stay, rather than that others go.
if try('LINDEX', K[1], A[3] - 1) == A[4] then call('LTRIM', K[1], A[3], -1) end
for i = 7, #A do
  local at, k = 1
  while at <= #A[i] do
    k, at = struct.unpack('<I2c0', A[i], at)
    n[#n + 1] = A[6] .. k
  end
end
-- They were written all or none, and none where one of the keys was taken: perhaps by the very same claim, which was sent
-- again, and has begun, before this transaction ran, late.
if n[1] and try('GET', n[1]) == A[5] and try('HEXISTS', K[3], A[5]:match('%S+$')) == 0 then call('DEL', unpack(n)) end
return 1
