-- Takes away the bundles of which all claims have ended. A part of turn.lua and of calm.lua ("-- uses: bundles_ended").
-- Of what is in doubt (fence.lua) nothing is taken away: a Redis that lost its last writes may hold claims of theirs again.
-- KEYS, ARGV  turn.lua's
-- Returns  nothing

local over, bundles = {}, sub(jobs_key, 1, -5) .. 'bundle:' .. argv[1] .. ':'
for i = ended_at, #argv[2] do over[i + 1 - ended_at] = bundles .. byte(argv[2], i) end
call('DEL', unpack(over))
