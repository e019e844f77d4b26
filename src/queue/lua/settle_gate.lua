-- What the end of a request does to its account's gate. A part of settle.lua ("-- uses: settle_gate").
-- KEYS, ARGV  turn.lua's
-- Returns  nothing: `was` has the accounts whose gates learned something

-- Gives up the place that the claim had among its account's requests, and tells the gate what was seen.
local function leave_gate(g, account, op, claim, token)
  if claim == 'c' and g.conc > 0 then g.conc, g.dirty = g.conc - 1, true end
  if op.effect == 's' and g.clean then return end
  if not learn then
    -- uses: learn
    learn, turns_of = gate_learn, TURNS
  end
  was[account], g.dirty, g.clean = was[account] or g.mode, true, false
  if learn(g, g.limits, op.effect, op.arg, token, tonumber(argv[5])) then
    local passed, number = 'passed:' .. account, tonumber(string.match(token, '^%d+')) -- gone_round reads it
    if number > (tonumber(call('HGET', stats_key, passed) or 0) or 0) then call('HSET', stats_key, passed, ms(number)) end
  end
end
