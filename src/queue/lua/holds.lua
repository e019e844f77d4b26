-- How many jobs a worker holds. Changes nothing.
-- uses: fold
-- KEYS  1 inflight:<worker>  2 claims:<worker>
-- ARGV  none
-- Returns  how many
return claims_held(KEYS[1], KEYS[2])
