-- Takes dead letters in that were exported, each at most once.
-- uses: types
-- KEYS  1 dead  2 dead:entries  3 stats; from 4 on, per letter: order:<account>:<key> (or dead where it has none)
-- ARGV  per letter: dead id, died at (ms), the letter, its ledger entry ("U …" where its outcome is unknown,
--       else "")
-- Returns  per letter: OK, or THERE: one of that id is there already
local wrong = wrong_type({ 'ZCARD', 'HLEN', 'HLEN' })
if wrong then return wrong end
local added, replies = 0, {}
for i = 1, #KEYS - 3 do
  local a = 4 * i - 3
  replies[i] = 'THERE'
  if redis.call('HSETNX', KEYS[2], ARGV[a], ARGV[a + 2]) == 1 then
    redis.call('ZADD', KEYS[1], ARGV[a + 1], ARGV[a])
    if KEYS[3 + i] ~= KEYS[1] and ARGV[a + 3] ~= '' then redis.call('SET', KEYS[3 + i], ARGV[a + 3], 'NX') end
    added = added + 1
    replies[i] = 'OK'
  end
end
if added > 0 then redis.call('HINCRBY', KEYS[3], 'dead_imported', added) end
return replies
