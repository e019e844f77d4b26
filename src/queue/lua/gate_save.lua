-- Writing gates, shared by the scripts that say "-- uses: gate_save" (after gate).
-- KEYS, ARGV, what it returns: those of the script that uses it.

-- Writes the gates that have changed, and which of them are unwell. unwell_n: how many accounts were, 0 where none.
local function gates_save(key, unwell_key, unwell_n)
  local fields, n, sick, well = {}, 0, {}, {}
  for account, g in pairs(gates_seen) do
    if g.dirty then
      local quiet = not g.mode or (g.mode == 'n' and g.till == 0 and g.cool == 0 and g.probe == '-' and g.refused == 0)
      fields[n + 1] = account
      if quiet then
        fields[n + 2] = struct.pack(QUIET, 1, g.tokens, now, g.conc, g.fails)
      else
        fields[n + 2] = format('%.9f %.3f %.0f %.0f %s %.3f %.0f %s %.0f %s', g.tokens, now, g.conc, g.fails, g.mode, g.till,
          g.cool, g.probe, g.refused, g.code)
      end
      local list = quiet and g.fails == 0 and well or sick
      list[#list + 1] = account
      n = n + 2
    end
  end
  if n > 0 then call('HSET', key, unpack(fields)) end
  if #sick > 0 then call('SADD', unwell_key, unpack(sick)) end
  if #well > 0 and unwell_n > 0 then call('SREM', unwell_key, unpack(well)) end
end
