-- What the end of a request teaches its account's gate. A part of settle.lua ("-- uses: gate_learn settle_gate").
-- KEYS, ARGV  turn.lua's
-- Returns  nothing: `was` has the accounts whose gates learned something

local function gate_hears(g, account, op, number)
  was[account], g.dirty, g.clean = was[account] or g.mode, true, false
  if gate_learn(g, g.limits, op.effect, op.arg, number, tonumber(argv[5])) then
    local passed = 'passed:' .. account -- gone_round reads it
    if number > (tonumber(call('HGET', stats_key, passed) or 0) or 0) then call('HSET', stats_key, passed, ms(number)) end
  end
end
