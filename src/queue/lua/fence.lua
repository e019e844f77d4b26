-- Whether what a worker thinks it holds can be trusted without looking at each claim, shared by the scripts that
-- say "-- uses: fence" (after clock).
-- KEYS, ARGV, what it returns: those of the script that uses it.
-- They have read `state` ("seq", "taken", "limits", "turn:<worker>" of stats) and have set:
--   seq       the last number that a job has
--   turn      of this call: each call of a worker on this queue has a greater one (microseconds of its start, and up)
--   answered  the greatest one that the worker had an answer to
--   highest   the greatest number of a claim that the worker was told of
-- stats has "turn:<worker>" -> turn and sure, packed (FENCE): the last turn that ran, and a number: the worker's
-- claims up to it are in doubt, all later ones are there as it knows them. That holds as nobody but the worker takes
-- claims out, with three exceptions, and all of them show here:
--   its lease ran out and others recovered it: recover.lua deletes the field
--   Redis lost its last writes (a failover, an old snapshot): the field lags behind what was answered
--   a call that ran late, after its connection had died and the worker had sent its like again: its turn is old
-- What is sent again, or of which the worker does not know whether it began, it says itself to be in doubt.

local FENCE = '<dd'
local last_turn, sure = 0, 0
if state[4] and #state[4] == 16 then last_turn, sure = struct.unpack(FENCE, state[4]) end
if last_turn < answered then sure = math.max(seq, highest) end
local fence = struct.pack(FENCE, math.max(last_turn, turn), sure)
