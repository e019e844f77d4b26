-- Whether a ledger entry that says "sending" has a holder. Changes nothing.
-- KEYS  1 order:<account>:<key>  2 claims:<worker>
-- ARGV  1 the entry as it was seen  2 token
-- Returns  1 if the entry still stands and nobody holds its claim, else 0
return redis.pcall('GET', KEYS[1]) == ARGV[1] and redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 and 1 or 0
