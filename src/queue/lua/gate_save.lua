-- Writing gates, shared by the scripts that say "-- uses: gate_save" (after gate).
-- KEYS, ARGV, what it returns: those of the script that uses it.

-- Writes the gates that have changed.
local function gates_save(key)
  local fields, n = {}, 0
  for account, g in pairs(gates_seen) do
    if g.dirty then
      fields[n + 1] = account
      if not g.mode or (g.mode == 'n' and g.till == 0 and g.cool == 0 and g.probe == '-') then
        fields[n + 2] = struct.pack(QUIET, 1, g.tokens, now, g.conc, g.fails)
      else
        fields[n + 2] = format('%.9f %.3f %.0f %.0f %s %.3f %.0f %s', g.tokens, now, g.conc, g.fails, g.mode, g.till,
          g.cool, g.probe)
      end
      n = n + 2
    end
  end
  if n > 0 then call('HSET', key, unpack(fields)) end
end
