-- What a script asks before it changes anything, shared by the scripts that say "-- uses: kinds".
-- Redis does not undo what a failing script has done: a job that was popped before the error would be
-- gone. So types are looked at first.
-- KEYS  the script's own, in the order of `kinds`    ARGV  none
-- Returns  nil, or the error to return, which names the key

local function wrong_kind(kinds)
  for i = 1, #kinds do
    local kind = redis.call('TYPE', KEYS[i]).ok
    if kind ~= kinds[i] and kind ~= 'none' then
      return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' holds a ' .. kind .. ' where dray keeps a ' ..
        kinds[i] .. '; nothing was done; rename it')
    end
  end
end

-- Redis refuses a script's first write when it is out of memory, if that may take memory, and then
-- lets the rest pass. What ends work or renews a lease must pass: it writes nothing first.
local function pass_without_memory(hash)
  redis.call('HDEL', hash, '')
end
