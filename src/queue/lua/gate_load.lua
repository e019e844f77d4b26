-- Reading gates by name, shared by the scripts that say "-- uses: gate_load" (after gate).
-- KEYS, ARGV, what it returns: those of the script that uses it.

local function gate_load(accounts_key, limits_key, account)
  if not gates[account] then
    gates[account] = gate_of(call('HGET', accounts_key, account), limits_of(call('HGET', limits_key, account)))
  end
  return gates[account]
end

-- Reads what is stored of several accounts in two calls; a name may stand there twice.
local function gates_fetch(accounts_key, limits_key, list)
  local states = call('HMGET', accounts_key, unpack(list))
  local limits = call('HMGET', limits_key, unpack(list))
  for i = 1, #list do
    local account = list[i]
    if account ~= '' and not gates[account] then gates[account] = gate_of(states[i], limits_of(limits[i])) end
  end
end
