-- What a script asks before it changes anything, shared by the scripts that say "-- uses: types".
-- Redis does not undo what a failing script has done: a job that was popped before the error would be
-- gone. So types are looked at first, by asking for lengths: that is cheaper than TYPE (whose reply
-- becomes a table), and what is empty need not be read again.
-- KEYS  the script's own, in the order of `lengths` (false: this one is not asked for)    ARGV  none
-- Returns  nil, or the error to return, which names the key

-- uses: calls
local size = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } -- of each key, as wrong_type found it

-- lengths: how each key's length is asked for: LLEN, ZCARD, HLEN.
local function wrong_type(lengths)
  for i = 1, #lengths do
    local n = lengths[i] and try(lengths[i], KEYS[i])
    if type(n) == 'table' then
      local KIND = { LLEN = 'list', ZCARD = 'zset', HLEN = 'hash' }
      local is, should = call('TYPE', KEYS[i]).ok, KIND[lengths[i]]
      if is == should or is == 'none' then return n end
      return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' holds a ' .. is .. ' where dray keeps a ' .. should ..
        '; nothing was done; rename it')
    end
    size[i] = n or size[i]
  end
end

-- Redis refuses a script's first write when it is out of memory, if that may take memory, and then
-- lets the rest pass. What ends work or renews a lease must pass: it writes nothing first.
local function pass_without_memory(hash)
  call('HDEL', hash, '')
end
