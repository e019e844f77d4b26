-- A gate that may be changed, shared by the scripts that say "-- uses: gate_own" (after gate).
-- KEYS, ARGV, what it returns: those of the script that uses it.

-- An account's gate as a table of its own with all fields, which is written at the end.
local function gate_own(account)
  local g = gates_seen[account]
  if not g.own then
    g = { limits = g.limits, tokens = g.tokens, conc = g.conc, fails = g.fails, mode = g.mode or 'n', till = g.till or 0,
          cool = g.cool or 0, probe = g.probe or '-', refused = g.refused or 0, code = g.code or '-', own = true, dirty = true }
    gates_seen[account] = g
    gates_dirty = true
  end
  return g
end
