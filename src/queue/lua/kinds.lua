-- What a script asks before it changes anything, shared by the scripts that say "-- uses: kinds".
-- Redis does not undo what a failing script has done: a job that was popped before the error would be
-- gone. So types are looked at first, by asking for lengths: that is cheaper than TYPE (whose reply
-- becomes a table), and what is empty need not be read again.
-- KEYS  the script's own, in the order of `kinds` (false: this one is not asked for)    ARGV  none
-- Returns  nil, or the error to return, which names the key

local call, try = redis.call, redis.pcall
local LENGTH = { list = 'LLEN', zset = 'ZCARD', hash = 'HLEN' }
local size = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } -- of each key, as wrong_kind found it

local function kind_error(key, is, should)
  return 'WRONGTYPE ' .. key .. ' holds a ' .. is .. ' where dray keeps a ' .. should .. '; nothing was done; rename it'
end

local function wrong_kind(kinds)
  for i = 1, #kinds do
    local n = kinds[i] and try(LENGTH[kinds[i]], KEYS[i]) or 0
    if type(n) == 'table' then
      local kind = call('TYPE', KEYS[i]).ok
      if kind == kinds[i] or kind == 'none' then return n end
      return redis.error_reply(kind_error(KEYS[i], kind, kinds[i]))
    end
    size[i] = n
  end
end

-- Redis refuses a script's first write when it is out of memory, if that may take memory, and then
-- lets the rest pass. What ends work or renews a lease must pass: it writes nothing first.
local function pass_without_memory(hash)
  call('HDEL', hash, '')
end
