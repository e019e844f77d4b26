-- An operator has found the order of a dead letter: it ends as created.
-- uses: types clock gate
-- KEYS  1 dead  2 dead:entries  3 stats  4 limits  5 results  6 the job's results list  7 order:<account>:<key>
--       (or dead where it has none)
-- ARGV  1 dead id  2 account  3 the ledger's new entry  4 result ("" for none)
-- Returns  OK; GONE; BUSY: the key is under way (nothing was done); WRONGTYPE: results is no list
local wrong = wrong_type({ 'ZCARD', 'HLEN', 'HLEN', 'HLEN', 'LLEN' })
if wrong then return wrong end
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then return 'GONE' end
local kind, results = redis.call('TYPE', KEYS[6]).ok, KEYS[6]
if kind ~= 'list' and kind ~= 'none' then results = KEYS[5] end
if KEYS[7] ~= KEYS[1] then
  local entry = redis.pcall('GET', KEYS[7])
  local state = type(entry) == 'string' and string.sub(entry, 1, 1)
  if state == 'S' or state == 'L' then return 'BUSY' end
  redis.call('SET', KEYS[7], ARGV[3], 'PX', limits_of(redis.call('HGET', KEYS[4], ARGV[2])).ledger_ttl)
end
if ARGV[4] ~= '' then
  redis.call('LPUSH', results, ARGV[4])
  redis.call('HINCRBY', KEYS[3], 'results', 1)
end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HINCRBY', KEYS[3], 'dead_resolved', 1)
return 'OK'
