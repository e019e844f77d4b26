-- Forgets dead letters. Where the ledger points at one (its outcome is unknown), the order key stays
-- closed for as long as a created one would.
-- uses: types clock gate
-- KEYS  1 dead  2 dead:entries  3 stats  4 limits; from 5 on, per letter: order:<account>:<key> (or dead where
--       it has none)
-- ARGV  per letter: dead id, account
-- Returns  per letter: OK, or GONE
local wrong = wrong_type({ 'ZCARD', 'HLEN', 'HLEN', 'HLEN' })
if wrong then return wrong end
local dropped, replies = 0, {}
for i = 1, #KEYS - 4 do
  local key, dead_id, account = KEYS[4 + i], ARGV[2 * i - 1], ARGV[2 * i]
  replies[i] = 'GONE'
  if redis.call('HDEL', KEYS[2], dead_id) == 1 then
    redis.call('ZREM', KEYS[1], dead_id)
    local entry = key ~= KEYS[1] and redis.pcall('GET', key)
    if type(entry) == 'string' and string.match(entry, '^U %S+ %S+ (%S+)$') == dead_id then
      redis.call('PEXPIRE', key, limits_of(redis.call('HGET', KEYS[4], account)).ledger_ttl)
    end
    dropped = dropped + 1
    replies[i] = 'OK'
  end
end
if dropped > 0 then redis.call('HINCRBY', KEYS[3], 'dead_dropped', dropped) end
return replies
