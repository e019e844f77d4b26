-- When to claim again, shared by the scripts that say "-- uses: next_look" (after gate).
-- KEYS, ARGV, what it returns: those of the script that uses it.

-- When to claim again, by the first of `delayed` and of `gates`: ms, "0" for at once, "-1" where
-- nothing is known to come. Every script that may change it ends its reply with it, so that whoever
-- caused a change knows of it. Nil for a key that is known to be empty.
local function look_again(delayed_key, gates_key)
  local delayed = delayed_key and call('ZRANGE', delayed_key, 0, 0, 'WITHSCORES')[2]
  local gate = gates_key and call('ZRANGE', gates_key, 0, 0, 'WITHSCORES')[2]
  local at = math.min(tonumber(delayed) or math.huge, gate ~= 'inf' and tonumber(gate) or math.huge)
  if at == math.huge then return '-1' end
  return at <= now and '0' or ms(math.ceil(at))
end
