-- How much workers hold. Changes nothing.
-- uses: types claims
-- KEYS  claims:<worker> of each
-- ARGV  none
-- Returns  { claims in flight, … }
local reply = {}
for i = 1, #KEYS do reply[i] = claims_left(KEYS[i]) end
return reply
