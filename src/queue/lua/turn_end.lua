-- Writes the counters, and says when to look again. A part of turn.lua ("-- uses: turn_end").
-- KEYS, ARGV  turn.lua's
-- Returns  `next_look`

local next_look = '-1'
do
  local known = { settled = state[4], results = state[5], created = state[6] }
  local values, n = { 'seq', ms(seq), 'taken', ms(taken) }, 4
  for name, by in pairs(counts) do
    local was = known[name] or call('HGET', stats_key, name)
    values[n + 1], values[n + 2], n = name, ms((tonumber(was or 0) or 0) + by), n + 2
  end
  if n > 4 or seq ~= seq_stored or taken ~= (tonumber(state[2] or 0) or 0) then call('HSET', stats_key, unpack(values)) end
end
if (claims and claim_n == 0) or (claimed and (claimed[1] == 'PAUSED' or claimed[1] == 'FULL')) then
  next_look = ms(now + 1000) -- nothing may be claimed, and nobody tells when that is over
elseif moved or delayed_n > 0 or waits_n > 0 then
  -- uses: next_look
  next_look = look_again(delayed_key, gates_key)
end
