-- What a worker holds. Changes nothing.
-- uses: fold
-- KEYS  1 inflight:<worker>  2 claims:<worker>
-- ARGV  none
-- Returns  { token, claim, … }: of each job in flight, what claims:<worker> has of it, "" if it never began; and claims
--   without a job
local reply, begun = {}, {}
local claims = claims_begun(KEYS[2])
for i = 1, #claims, 2 do
  reply[i], reply[i + 1] = claims[i], claims[i + 1]
  begun[claims[i]] = true
end
local function never_begun(token)
  if not begun[token] then
    reply[#reply + 1] = token
    reply[#reply + 1] = ''
  end
end
for _, token in ipairs(redis.call('HKEYS', KEYS[1])) do
  if token ~= 'folded' then never_begun(token) end
end
local folded = folded_claims(redis.call('HGET', KEYS[1], 'folded') or '', KEYS[2])
for i = 1, #folded, 2 do never_begun(folded[i]) end
return reply
