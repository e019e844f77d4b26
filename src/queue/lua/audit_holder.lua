-- Whether a ledger entry that says "sending" has a holder. Changes nothing.
-- uses: fold
-- KEYS  1 order:<account>:<key>  2 claims:<worker>
-- ARGV  1 the entry as it was seen  2 token
-- Returns  1 if the entry still stands and nobody holds its claim, else 0
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if (redis.call('HGET', KEYS[2], ARGV[2]) or '') ~= '' then return 0 end
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  local of = string.sub(field, 1, 7) == 'folded:' and begun_claims(redis.call('HGET', KEYS[2], field)) or {}
  for i = 1, #of, 2 do
    if of[i] == ARGV[2] then return 0 end
  end
end
return 1
