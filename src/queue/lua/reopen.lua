-- Accounts whose credentials changed: where they were held, one probe may go at once.
-- uses: types clock gate gate_load gate_pass
-- KEYS  1 accounts  2 limits  3 gates
-- ARGV  accounts
-- Returns  how many were held
local held = 0
if #ARGV > 0 then gates_fetch(KEYS[1], KEYS[2], ARGV) end
for _, account in ipairs(ARGV) do
  local g = gate_load(KEYS[1], KEYS[2], account)
  if g.mode == 'h' then
    g.till, g.cool, g.probe, g.dirty = now, g.limits.cooldown, '-', true
    held = held + 1
  end
end
gates_save(KEYS[1])
gates_schedule(KEYS[3])
return held
