-- Accounts whose credentials changed: where they were held, one probe may go at once.
-- uses: gate
-- KEYS  1 accounts  2 limits  3 gates
-- ARGV  accounts
-- Returns  how many were held
local held = 0
for _, account in ipairs(ARGV) do
  local l = limits_of(KEYS[2], account)
  local g = gate_load(KEYS[1], account, l)
  if g.mode == 'h' then
    g.till, g.cool, g.probe = now, l.cooldown, '-'
    gate_save(KEYS[1], account, g)
    if redis.call('ZSCORE', KEYS[3], account) then gate_schedule(KEYS[3], account, g, l) end
    held = held + 1
  end
end
return held
