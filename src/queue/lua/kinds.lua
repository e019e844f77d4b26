-- What a script asks before it changes anything, shared by the scripts that say "-- uses: kinds".
-- Redis does not undo what a failing script has done: a job that was popped before the error would be
-- gone. So types are looked at first, by asking for lengths: that is cheaper than TYPE (whose reply
-- becomes a table), and what is empty need not be read again.
-- KEYS  the script's own, in the order of `kinds`    ARGV  none
-- Returns  nil, or the error to return, which names the key

local call, try = redis.call, redis.pcall
local LENGTH = { list = 'LLEN', zset = 'ZCARD', hash = 'HLEN' }
local size = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } -- of each key, as wrong_kind found it

local function wrong_kind(kinds)
  for i = 1, #kinds do
    local n = try(LENGTH[kinds[i]], KEYS[i])
    if type(n) == 'table' then
      local kind = call('TYPE', KEYS[i]).ok
      if kind == kinds[i] or kind == 'none' then return n end
      return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' holds a ' .. kind .. ' where dray keeps a ' ..
        kinds[i] .. '; nothing was done; rename it')
    end
    size[i] = n
  end
end

-- Redis refuses a script's first write when it is out of memory, if that may take memory, and then
-- lets the rest pass. What ends work or renews a lease must pass: it writes nothing first.
local function pass_without_memory(hash)
  call('HDEL', hash, '')
end
