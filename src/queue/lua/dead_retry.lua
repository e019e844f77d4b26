-- Takes dead letters back into the queue, each at most once: a letter that is gone was retried already.
-- uses: types clock record
-- KEYS  1 dead  2 dead:entries  3 delayed  4 parked  5 stats; from 6 on, per letter: order:<account>:<key>
--       (or dead where it has none)
-- ARGV  1 retry, or resend: its outcome was unknown, and an operator says that it may be sent again
--       2 ms until the first is due  3 ms between them; then per letter: dead id, record
-- Returns  per letter: OK; GONE; and nothing was done: UNKNOWN (retry: the ledger says that nobody knows
--   whether the order exists), CREATED (resend: it exists), BUSY (resend: its key is under way)
local wrong = wrong_type({ 'ZCARD', 'HLEN', 'ZCARD', 'HLEN', 'HLEN' })
if wrong then return wrong end
local resend, n, moved = ARGV[1] == 'resend', #KEYS - 5, 0
local due, step, replies = now + tonumber(ARGV[2]), tonumber(ARGV[3]), {}

local function refused(key)
  local entry = redis.pcall('GET', key)
  local state = type(entry) == 'string' and string.sub(entry, 1, 1)
  if not resend then return state == 'U' and 'UNKNOWN' end
  if state == 'C' then return 'CREATED' end
  if state == 'S' or state == 'L' then return 'BUSY' end
end

local function revive(key, dead_id, record)
  if redis.call('HEXISTS', KEYS[2], dead_id) == 0 then return 'GONE' end
  local why = key ~= KEYS[1] and refused(key)
  if why then return why end
  local id = ms(take_numbers(KEYS[5], KEYS[4], 1) + 1)
  redis.call('HSET', KEYS[4], id, record)
  -- A thousandth apart, so that they leave in the order in which they came.
  redis.call('ZADD', KEYS[3], string.format('%.3f', due + moved * (step + 0.001)), id)
  redis.call('HDEL', KEYS[2], dead_id)
  redis.call('ZREM', KEYS[1], dead_id)
  if resend and key ~= KEYS[1] then redis.call('DEL', key) end
  moved = moved + 1
  return 'OK'
end

for i = 1, n do replies[i] = revive(KEYS[5 + i], ARGV[2 * i + 2], ARGV[2 * i + 3]) end
if moved > 0 then redis.call('HINCRBY', KEYS[5], 'dead_retried', moved) end
return replies
