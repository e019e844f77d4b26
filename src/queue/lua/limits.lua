-- What the configuration allows each account. Where that has changed, the account's waiting jobs are
-- looked at at once: they may be due sooner now than the old limits said.
-- KEYS  1 limits  2 gates
-- ARGV  per account: its name, its limits (gate.lua); at most 2,000 accounts at a time
-- Returns  how many were changed
local names, changed, texts = {}, 0, {}
for i = 1, #ARGV, 2 do names[#names + 1] = ARGV[i] end
if #names == 0 then return 0 end
local old = redis.call('HMGET', KEYS[1], unpack(names))
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
return changed
