-- Whether what a worker thinks it holds can be trusted without looking at each claim. A part of turn.lua ("-- uses: fence").
-- KEYS, ARGV  turn.lua's, which has read `state` ("seq", "taken", "limits", "turn:<worker>" of stats) and has set:
--   seq       the last number that a job has
--   turn      of this call: each call of a worker on this queue has a greater one (microseconds of its start, and up)
--   answered  the greatest one that the worker had an answer to
--   highest   the greatest number of a claim that the worker was told of
--   lowest    the lowest number of a claim that this call settles or begins
-- Returns  fence, to be stored; claims_known, below
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
local doubt = bits % 4 > 0 or turn <= last_turn or lowest <= sure

-- What Redis knows of claims, where that is in doubt, else nil. Per token, from argv[at + 1] on: n, b or c, as in settle.lua;
-- false where the claim is gone.
local function claims_known(at, n)
  if not doubt then return nil end
  local known = call('HMGET', claims_key, unpack(argv, at + 1, at + n))
  for i = 1, n do
    local begun = known[i]
    if begun then
      known[i] = byte(begun) < 97 and 'c' or 'b' -- a capital: counted
    elseif call('HEXISTS', inflight_key, argv[at + i]) == 1 then
      known[i] = 'n'
    end
  end
  return known
end
