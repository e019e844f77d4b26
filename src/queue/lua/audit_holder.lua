-- Whether a ledger entry that says "sending" has a holder. Changes nothing.
-- uses: types clock claims
-- KEYS  1 order:<account>:<key>  2 claims:<worker>
-- ARGV  1 the entry as it was seen  2 token
-- Returns  1 if the entry still stands and nobody is sending under its claim, else 0
if try('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local n, place = string.match(ARGV[2], '^(%d+)%.(%d+)$')
local stored = n and call('HGET', KEYS[2], n)
local letter = stored and batch_of(stored).letters[place + 1]
return (letter == 80 or letter == 112) and 0 or 1 -- P, p
