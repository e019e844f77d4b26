-- What the configuration allows each account. Where that has changed, the account's waiting jobs are
-- looked at at once: they may be due sooner now than the old limits said.
-- KEYS  1 limits  2 gates  3 stats
-- ARGV  per account: its name, its limits (gate.lua); at most 2,000 accounts at a time
-- Returns  the version of the limits: a number that changes with every change (turn.lua)
local names, changed, texts = {}, 0, {}
for i = 1, #ARGV, 2 do names[#names + 1] = ARGV[i] end
local old = #names > 0 and redis.call('HMGET', KEYS[1], unpack(names)) or {}
for i, name in ipairs(names) do
  local text = ARGV[2 * i]
  if old[i] ~= text then
    changed = changed + 1
    texts[#texts + 1] = name
    texts[#texts + 1] = text
    redis.call('ZADD', KEYS[2], 'XX', 0, name)
  end
end
if changed > 0 then redis.call('HSET', KEYS[1], unpack(texts)) end
local version = redis.call('HGET', KEYS[3], 'limits')
if version and changed == 0 then return version end
local time = redis.call('TIME') -- not a count: where `stats` was lost, no worker may take an old version for the new one
version = time[1] .. string.format('%06d', time[2])
redis.call('HSET', KEYS[3], 'limits', version)
return version
