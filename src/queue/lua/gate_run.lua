-- The gate of a run of turn.lua's ("-- uses: gate_run", after gate_read).
-- KEYS, ARGV  turn.lua's
-- Returns  the gate, nil where the account is not known

local function gate_of_run(r)
  local account = argv[ACCOUNTS + r]
  local g = gates_seen[account]
  if not g and account ~= '' then
    local text
    if told then text = told[r] else text = argv[LIMITS_AT + byte(runs, 3 * r - 1)] end
    g = gate_of(states[r], limits_of(text))
    gates_seen[account] = g
  end
  return g
end
