-- Whether a ledger entry that says "sending" has a holder. Changes nothing.
-- uses: fold
-- KEYS  1 order:<account>:<key>  2 claims:<worker>
-- ARGV  1 the entry as it was seen  2 token
-- Returns  1 if the entry still stands and nobody holds its claim, else 0
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if (redis.call('HGET', KEYS[2], ARGV[2]) or '') ~= '' then return 0 end
local begun = claims_begun(KEYS[2])
for i = 1, #begun, 2 do
  if begun[i] == ARGV[2] then return 0 end
end
return 1
