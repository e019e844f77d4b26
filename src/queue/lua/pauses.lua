-- Operators' pauses, shared by the scripts that say "-- uses: pauses" (after gate).
-- KEYS, ARGV, what it returns: those of the script that uses it.

-- Until when an operator's pause lasts, given its text: ms, 0 without end, nil if there is none. What
-- cannot be read counts as a pause: somebody wanted one.
local function pause_end(text)
  if not text then return nil end
  local till = tonumber(string.match(text, '^%d+')) or 0
  if till > 0 and till <= now then return nil end
  return till
end

-- The same of an account, or of the queue ("").
local function paused_till(key, account)
  return pause_end(call('HGET', key, account))
end

-- When a paused account is looked at again: within a second, so that any worker notices its end.
local function paused_look(till)
  return ms(math.ceil(till > 0 and math.min(till, now + 1000) or now + 1000))
end
