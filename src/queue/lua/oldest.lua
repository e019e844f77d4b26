-- What waits longest, shared by the scripts that say "-- uses: oldest" (after clock).
-- KEYS, ARGV, what it returns: those of the script that uses it.

local OLDEST_ACCOUNTS = 200 -- so many accounts with waiting jobs are looked at

-- The record of the job that has waited longest for its account, or "".
local function oldest_waiting(waiting, gates, parked)
  local first
  for _, account in ipairs(redis.call('ZRANGE', gates, 0, OLDEST_ACCOUNTS - 1)) do
    local member = redis.call('ZRANGEBYLEX', waiting, '[' .. account .. ' ', '(' .. account .. '!', 'LIMIT', 0, 1)[1]
    local position = member and tonumber(string.match(member, ' (%d+)$'))
    if position and (not first or position < first) then first = position end
  end
  return first and redis.call('HGET', parked, ms(first)) or ''
end

-- When the delayed job was due whose time passed first (ms), or ""; how many are past it.
local function overdue(delayed)
  local first = redis.call('ZRANGEBYSCORE', delayed, '1e12', ms(now), 'WITHSCORES', 'LIMIT', 0, 1)[2]
  return first and ms(tonumber(first)) or '', redis.call('ZCOUNT', delayed, '-inf', ms(now))
end
